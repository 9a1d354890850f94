"""Where Flower's client process asks the daemon to adapt a network: over loopback, a sealed line each way.

Weights do not pass through the socket nor through the daemon: they lie in a folder that the client
process makes for each question, and so does the update.
"""

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
from site_client.federation.sealed import Notice, give_notice, read_line, seal, unseal

DESK_VARIABLE = "SYNOPTIC_DESK"
"""Environment variable with the path of the desk's notice."""
EXCHANGE_VARIABLE = "SYNOPTIC_EXCHANGE"
"""Environment variable with the folder in which each question gets its own."""
WEIGHTS_FILE = "weights.safetensors"
UPDATE_FILE = "update.safetensors.zst"

Adapt = Callable[[AdaptationPlan, Path], AdaptationReport]
"""Makes `UPDATE_FILE` from `WEIGHTS_FILE` in a folder; raises `AdaptationRefused`."""

_ADDRESS = "127.0.0.1"
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
        self._home = Path(tempfile.mkdtemp(prefix="synoptic-"))
        self._socket = socket.socket()

    @property
    def path(self) -> Path:
        """Where its notice lies: the port, and the secret of those who may ask."""
        return self._home / "desk.json"

    def open(self) -> None:
        """Begin to answer."""
        shutil.rmtree(self._exchange, ignore_errors=True)
        self._exchange.mkdir(parents=True, mode=0o700)
        self._socket.bind((_ADDRESS, 0))
        self._socket.listen()
        key = give_notice(self.path, self._socket.getsockname()[1]).key
        threading.Thread(target=self._attend, args=(key,), name="desk", daemon=True).start()

    def close(self) -> None:
        """Answer nobody any more; the exchange folder is emptied."""
        with suppress(OSError):  # wakes the thread that accepts, which `close` alone does not
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        if self._take_turn(_CLOSING_S):
            self._answering.release()
        shutil.rmtree(self._home, ignore_errors=True)
        shutil.rmtree(self._exchange, ignore_errors=True)

    def _attend(self, key: bytes) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection, key), name="desk", daemon=True).start()

    def _serve(self, connection: socket.socket, key: bytes) -> None:
        with connection:
            try:
                line = read_line(connection, _QUESTION_S)
                question = unseal(line, key)
            except (OSError, AdaptationRefused) as stranger:
                # Any user of this computer can connect; whoever has no seal gets no answer.
                _LOG.warning("desk-asked", reason=f"{type(stranger).__name__}: {stranger}")
                return
            try:
                answer = self._answer(question)
            except SiteError as refusal:
                answer = {"refused": str(refusal)}
            except Exception as defect:
                _LOG.exception("desk-failed")
                answer = {"refused": f"{type(defect).__name__}: {defect}"}
            with suppress(OSError):  # whoever asked is gone
                connection.settimeout(_QUESTION_S)
                connection.sendall(seal(answer, key, line))

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
        The desk's notice.
    exchange
        Holds `WEIGHTS_FILE`, and after the answer `UPDATE_FILE`.
    plan
        No answer is awaited longer than its deadline.

    Raises
    ------
    AdaptationRefused
        The daemon says no, does not answer in time, or is not there, or somebody else answers.
    """
    question = {"exchange": exchange.name, "plan": plan.model_dump(mode="json")}
    try:
        notice = Notice.model_validate_json(desk.read_bytes())
        with socket.create_connection((_ADDRESS, notice.port), plan.deadline_s) as connection:
            line = seal(question, notice.key)
            connection.sendall(line)
            answer = unseal(read_line(connection, plan.deadline_s), notice.key, line)
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
