"""Where Flower's client process asks the daemon to adapt a network: a Unix socket, a line each way.

Weights do not pass through the socket nor through the daemon: they lie in a folder that the client
process makes for each question, and so does the update.
"""

import json
import os
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog
from pydantic import ValidationError

from model_library.cards.adaptation import AdaptationPlan, AdaptationReport
from site_client.errors import AdaptationRefused, SiteError

DESK_VARIABLE = "SYNOPTIC_DESK"
"""Environment variable with the socket's path."""
EXCHANGE_VARIABLE = "SYNOPTIC_EXCHANGE"
"""Environment variable with the folder in which each question gets its own."""
WEIGHTS_FILE = "weights.safetensors"
UPDATE_FILE = "update.safetensors.zst"

Adapt = Callable[[AdaptationPlan, Path], AdaptationReport]
"""Makes `UPDATE_FILE` from `WEIGHTS_FILE` in a folder; raises `AdaptationRefused`."""

_LONGEST_PATH = 100
_LONGEST_LINE = 1 << 20
_QUESTION_S = 10.0
_PATIENCE_S = 0.3
_CLOSING_S = 3.0
_LOG = structlog.get_logger("site")


class Desk:
    """Answers one question at a time, for this user's processes alone.

    Parameters
    ----------
    exchange
        Folder in which the client process puts weights and finds updates; emptied.
    adapt
        Answers.
    give_up
        Ends an answer under way, as soon as it can; a SuperNode has one message at work, so whoever
        asked before a new question is gone.
    """

    def __init__(self, exchange: Path, adapt: Adapt, give_up: Callable[[], None]) -> None:
        self._exchange = exchange
        self._adapt = adapt
        self._give_up = give_up
        self._answering = threading.Lock()
        self._home = Path(tempfile.mkdtemp(prefix="synoptic-", dir=_short_folder()))
        self._socket = socket.socket(socket.AF_UNIX)

    @property
    def path(self) -> Path:
        """The socket's path."""
        return self._home / "desk.sock"

    def open(self) -> None:
        """Begin to answer."""
        shutil.rmtree(self._exchange, ignore_errors=True)
        self._exchange.mkdir(parents=True, mode=0o700)
        self._socket.bind(str(self.path))
        self._socket.listen()
        threading.Thread(target=self._attend, name="desk", daemon=True).start()

    def close(self) -> None:
        """Answer nobody any more; the exchange folder is emptied."""
        with suppress(OSError):  # wakes the thread that accepts, which `close` alone does not
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        if self._take_turn(_CLOSING_S):
            self._answering.release()
        shutil.rmtree(self._home, ignore_errors=True)
        shutil.rmtree(self._exchange, ignore_errors=True)

    def _attend(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), name="desk", daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            connection.settimeout(_QUESTION_S)
            try:
                answer = self._answer(_read_line(connection))
            except SiteError as refusal:
                answer = {"refused": str(refusal)}
            except Exception as defect:
                _LOG.exception("desk-failed")
                answer = {"refused": f"{type(defect).__name__}: {defect}"}
            with suppress(OSError):  # whoever asked is gone
                connection.sendall(json.dumps(answer).encode() + b"\n")

    def _answer(self, question: dict[str, Any]) -> dict[str, Any]:
        try:
            plan = AdaptationPlan.model_validate(question["plan"])
            folder = (self._exchange / question["exchange"]).resolve()
        except (KeyError, TypeError, ValidationError) as error:
            raise AdaptationRefused(
                f"expected an exchange folder and a plan, found {error}; are both of one version?"
            ) from error
        if folder.parent != self._exchange.resolve():
            raise AdaptationRefused(f"expected a folder in {self._exchange}, found {folder}")
        if not self._take_turn(plan.deadline_s):
            raise AdaptationRefused("expected to answer one question at a time, found one that does not end")
        try:
            return {"report": self._adapt(plan, folder).model_dump(mode="json")}
        finally:
            self._answering.release()

    def _take_turn(self, patience_s: float) -> bool:
        end = time.monotonic() + patience_s
        while not self._answering.acquire(timeout=_PATIENCE_S):
            if time.monotonic() > end:
                return False
            self._give_up()
        return True


def ask_desk(desk: Path, exchange: Path, plan: AdaptationPlan) -> AdaptationReport:
    """Ask the daemon to adapt the weights in a folder, from another process.

    Parameters
    ----------
    desk
        The socket's path.
    exchange
        Holds `WEIGHTS_FILE`, and after the answer `UPDATE_FILE`.
    plan
        No answer is awaited longer than its deadline.

    Raises
    ------
    AdaptationRefused
        The daemon says no, does not answer in time, or is not there.
    """
    question = {"exchange": exchange.name, "plan": plan.model_dump(mode="json")}
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(plan.deadline_s)
            connection.connect(str(desk))
            connection.sendall(json.dumps(question).encode() + b"\n")
            answer = _read_line(connection)
    except TimeoutError as error:
        raise AdaptationRefused(
            f"expected an update within {plan.deadline_s:g} s, found none; the site is too slow for this plan"
        ) from error
    except OSError as error:
        raise AdaptationRefused(
            f"expected the site's daemon at {desk}, found {type(error).__name__}: {error}; it has ended"
        ) from error
    if "refused" in answer:
        raise AdaptationRefused(str(answer["refused"]))
    return AdaptationReport.model_validate(answer["report"])


def _read_line(connection: socket.socket) -> dict[str, Any]:
    received = bytearray()
    while not received.endswith(b"\n"):
        chunk = connection.recv(1 << 16)
        if not chunk or len(received) > _LONGEST_LINE:
            raise AdaptationRefused(
                f"expected a line, found {len(received)} bytes without its end; the other side has ended"
            )
        received += chunk
    try:
        line: dict[str, Any] = json.loads(received)
    except ValueError as error:
        raise AdaptationRefused(f"expected a line of JSON, found {error}") from error
    return line


def _short_folder() -> str | None:
    # The path of a Unix socket has at most 107 bytes, in Linux.
    return None if len(os.fsencode(tempfile.gettempdir())) < _LONGEST_PATH - 40 else "/tmp"  # noqa: S108
