"""A child process that answers questions, one JSON line each; it may hang or die, its parent does not.

Frames are parsed and reconstructed in children, so that a hostile file or a failing network costs
one child and never the daemon, and so that the daemon itself needs neither numpy nor torch.
"""

import json
import os
import queue
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from model_library.errors import ChildDied, ChildRefused
from model_library.processes.operating_system import own_group

_START_DEADLINE_S = 180.0
_LONGEST_LOG_BYTES = 10 << 20


class Child:
    """Starts the process when it is first asked, and again after it died.

    Parameters
    ----------
    command
        Program and arguments; it speaks the protocol of `model_library.processes.answering`.
    log
        File to which its standard error is appended.
    environment
        Added to the parent's environment.
    """

    def __init__(
        self, command: Sequence[str], *, log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self._command = list(command)
        self._log = log
        self._environment = dict(environment or {})
        self._asking = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._answers: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._retired = False
        self._stops = 0

    def ask(
        self, request: Mapping[str, Any], deadline_s: float, told: Callable[[float], None] = lambda _: None
    ) -> dict[str, Any]:
        """Ask, and wait for the answer; one question at a time.

        Parameters
        ----------
        request
            With `"progress": true` the child may tell how far it is.
        deadline_s
            For the answer, and anew after each time that it tells that.
        told
            Told what share of the work is done more.

        Raises
        ------
        ChildRefused
            It answered with a refusal.
        ChildDied
            It ended, was killed because it had not answered after `deadline_s` seconds, or was
            stopped while this question waited for its turn.
        """
        stops = self._stops
        with self._asking:
            process = self._running(stops)
            try:
                assert process.stdin is not None
                process.stdin.write(json.dumps(request).encode() + b"\n")
                process.stdin.flush()
            except OSError as error:
                raise ChildDied(self._buried(process, "it ended before the question")) from error
            while "progress" in (answer := self._line(process, deadline_s)):
                told(answer["progress"])
        if "refused" in answer:
            raise ChildRefused(answer["refused"]["code"], answer["refused"]["message"])
        return answer

    def retire(self) -> None:
        """Kill the process for good; whoever asks from now on, or waits to ask, gets `ChildDied`."""
        self._retired = True
        self.stop()

    def stop(self) -> None:
        """Kill the process; questions that are under way or wait for their turn end with `ChildDied`."""
        # Counted first: a question that waits would otherwise start the process again and be waited for.
        self._stops += 1
        process = self._process
        if process is not None:
            process.kill()
        # Whoever is asking sees the end of the pipe now, and lets go of it.
        with self._asking:
            if self._process is not None:
                self._process.kill()
                self._process.wait()
                _close(self._process)
                self._process = None

    @property
    def pid(self) -> int | None:
        """Process id, while it runs."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def _running(self, stops: int) -> subprocess.Popen[bytes]:
        if self._retired:
            raise ChildDied("it has been ended for good")
        if stops != self._stops:
            raise ChildDied("it was ended before the question")
        if self._process is not None and self._process.poll() is None:
            return self._process
        if self._process is not None:
            _close(self._process)
        self._log.parent.mkdir(parents=True, exist_ok=True)
        if self._log.exists() and self._log.stat().st_size > _LONGEST_LOG_BYTES:
            self._log.replace(self._log.with_name(f"{self._log.name}.1"))
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=os.environ | self._environment,
                # Ctrl-C in a terminal reaches the daemon alone, which then ends its children.
                **own_group(),
            )
        self._process, self._answers = process, queue.SimpleQueue()
        threading.Thread(target=_listen, args=(process, self._answers), daemon=True).start()
        if stops != self._stops:
            raise ChildDied(self._buried(process, "it was ended while it started"))
        self._line(process, _START_DEADLINE_S)
        return process

    def _line(self, process: subprocess.Popen[bytes], deadline_s: float) -> dict[str, Any]:
        try:
            line = self._answers.get(timeout=deadline_s)
        except queue.Empty:
            raise ChildDied(self._buried(process, f"it gave no answer within {deadline_s:g} s")) from None
        if not line.endswith(b"\n"):
            raise ChildDied(self._buried(process, "it ended without an answer"))
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _buried(self, process: subprocess.Popen[bytes], how: str) -> str:
        process.kill()
        code = process.wait()
        _close(process)
        self._process = None
        end = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return f"{how} ({end}); {self._log} tells more"


def _listen(process: subprocess.Popen[bytes], answers: "queue.SimpleQueue[bytes]") -> None:
    """Pass on what a process says, line by line; what is no whole line tells that it has ended.

    A thread, because a pipe cannot be waited for with a deadline on every system.
    """
    assert process.stdout is not None
    with process.stdout:
        for line in process.stdout:
            answers.put(line)
    answers.put(b"")


def _close(process: subprocess.Popen[bytes]) -> None:
    # Its other pipe ends by itself, and is closed by whoever listens there.
    assert process.stdin is not None
    with suppress(OSError):  # what was left in the buffer has no reader any more
        process.stdin.close()
