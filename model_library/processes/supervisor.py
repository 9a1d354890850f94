"""Processes that end with the one that started them: at its end, at an error, at a kill."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from model_library.errors import ProcessFailed
from model_library.processes.operating_system import ask_group, own_group, passing_on
from model_library.processes.watchdog import end_groups

_TAIL_LINES = 15


@dataclass(frozen=True, slots=True)
class Started:
    """A process, leader of its own group, and the file with all that it says."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def tail(self) -> str:
        """Show the last lines of the log."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(lines[-_TAIL_LINES:])


class Supervisor:
    """Starts processes, each in its own group, and ends them all on leaving the context.

    A watchdog process holds the other end of a pipe and ends the groups where this process is
    killed before it can.

    Parameters
    ----------
    logs
        Folder of the processes' output.
    environment
        Added to this process's own.
    held
        File descriptors that the watchdog holds too, until it has ended everything.
    """

    def __init__(
        self, logs: Path, environment: Mapping[str, str] | None = None, *, held: Sequence[int] = ()
    ) -> None:
        self._logs = logs
        self._held = held
        self._environment = {**os.environ, **(environment or {})}
        self._started: dict[str, Started] = {}

    def __enter__(self) -> Self:
        self._logs.mkdir(parents=True, exist_ok=True)
        self._watchdog = subprocess.Popen(
            [sys.executable, "-m", "model_library.processes.watchdog"],
            stdin=subprocess.PIPE,
            **passing_on(self._held),
            **own_group(),
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        assert self._watchdog.stdin is not None
        self._watchdog.stdin.close()
        self._watchdog.wait()

    def start(self, name: str, arguments: Sequence[str]) -> Started:
        """Start a process whose output goes to `<logs>/<name>.log`, after what is there.

        A process of this name is ended and replaced.
        """
        self.end(name)
        log = self._logs / f"{name}.log"
        with log.open("ab") as file:
            process = subprocess.Popen(
                list(arguments),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=self._environment,
                **own_group(),
            )
        self._tell(f"+{process.pid}")
        started = Started(name, process, log)
        self._started[name] = started
        return started

    def run(self, name: str, arguments: Sequence[str], timeout_s: float = 60.0) -> None:
        """Run a process to its end.

        Raises
        ------
        ProcessFailed
            Where it ends with another code than 0, or not in time.
        """
        await_success(self.start(name, arguments), timeout_s)

    def check(self) -> None:
        """Notice a process that ended in failure.

        Raises
        ------
        ProcessFailed
            Where a process has ended with another code than 0.
        """
        for started in self._started.values():
            code = started.process.poll()
            if code:
                raise ProcessFailed(
                    f"expected {started.name} to keep running, found that it ended with code {code}; "
                    f"it said:\n{started.tail()}"
                )

    def alive(self, name: str) -> bool:
        """Whether a process of this name was started and is still running."""
        return name in self._started and self._started[name].process.poll() is None

    def pid(self, name: str) -> int:
        """Tell the process id of what was started under a name."""
        return self._started[name].process.pid

    def end(self, name: str, grace_s: float = 5.0) -> None:
        """End one process with its group, if it is there; what it started ends too."""
        started = self._started.pop(name, None)
        if started is None:
            return
        ask_group(started.process.pid)
        # Reaped first: a zombie would count as a living member of its group.
        with suppress(subprocess.TimeoutExpired):
            started.process.wait(grace_s)
        end_groups([started.process.pid], grace_s=0.5)
        started.process.wait()
        self._tell(f"-{started.process.pid}")

    def stop(self, grace_s: float = 15.0) -> None:
        """End every process, the last started first; whoever stays is killed with its group."""
        # A second Ctrl-C must not leave processes behind.
        before = _ignore_interrupts()
        try:
            running = [started.process for started in reversed(self._started.values())]
            for process in running:
                if process.poll() is None:
                    ask_group(process.pid)
            deadline = time.monotonic() + grace_s
            for process in running:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(max(0.0, deadline - time.monotonic()))
            end_groups([process.pid for process in running], grace_s=1.0)
            for process in running:
                process.wait()
            for process in running:
                self._tell(f"-{process.pid}")
            self._started.clear()
        finally:
            if before is not None:
                signal.signal(signal.SIGINT, before)

    def _tell(self, line: str) -> None:
        assert self._watchdog.stdin is not None
        with suppress(BrokenPipeError):
            self._watchdog.stdin.write(f"{line}\n".encode())
            self._watchdog.stdin.flush()


def await_success(started: Started, timeout_s: float = 60.0) -> None:
    """Wait for a process to end well.

    Raises
    ------
    ProcessFailed
        Where it ends with another code than 0, or not in time.
    """
    try:
        code = started.process.wait(timeout_s)
    except subprocess.TimeoutExpired as error:
        raise ProcessFailed(
            f"expected {started.name} to end within {timeout_s:.0f} s; see {started.log}"
        ) from error
    if code:
        raise ProcessFailed(
            f"expected {started.name} to succeed, found exit code {code}; it said:\n{started.tail()}"
        )


def _ignore_interrupts() -> signal.Handlers | None:
    try:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    except ValueError:  # not the main thread: no signal arrives here
        return None
    return before  # type: ignore[return-value]
