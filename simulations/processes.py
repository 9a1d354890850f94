"""A process with all that it started: stopped for a while, and what it holds and uses (Linux)."""

import os
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_STOP_DEADLINE_S = 5.0


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process holds in memory, and the processor time that it has had."""

    rss_bytes: int
    cpu_s: float

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(self.rss_bytes + other.rss_bytes, self.cpu_s + other.cpu_s)


def family(pid: int) -> tuple[int, ...]:
    """List a process and its descendants, parents first."""
    return families((pid,))[pid]


def families(pids: Iterable[int]) -> dict[int, tuple[int, ...]]:
    """List several processes with their descendants, as they are at one moment."""
    children: dict[int, list[int]] = {}
    for pid in _all():
        with suppress(OSError):
            children.setdefault(int(_stat(pid)[1]), []).append(pid)
    found = {}
    for pid in pids:
        members = [pid]
        for each in members:
            members += children.get(each, [])
        found[pid] = tuple(members)
    return found


def marked(variable: str, value: str) -> tuple[int, ...]:
    """List the processes that were started with an environment variable of this value, without this one."""
    wanted, found = f"{variable}={value}".encode(), []
    for pid in _all():
        with suppress(OSError):  # it has ended, or is somebody else's
            if pid != os.getpid() and wanted in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                found.append(pid)
    return tuple(found)


def command(pid: int) -> str:
    """Tell the command line of a process; empty where it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def usage(pid: int) -> Usage:
    """Tell what a process uses now; nothing where it has ended."""
    try:
        fields = _stat(pid)
    except OSError:
        return Usage(0, 0.0)
    user, system, rss_pages = int(fields[11]), int(fields[12]), int(fields[21])
    return Usage(rss_pages * _PAGE_BYTES, (user + system) / _TICKS_PER_S)


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """Stop a process and its descendants (SIGSTOP) for the block: no processor, no disk, no network."""
    stopped = []
    for each in family(pid):
        with suppress(ProcessLookupError):
            os.kill(each, signal.SIGSTOP)
            stopped.append(each)
    _wait_until_still(stopped)
    try:
        yield
    finally:
        for each in reversed(stopped):
            with suppress(ProcessLookupError):
                os.kill(each, signal.SIGCONT)


def _wait_until_still(pids: list[int]) -> None:
    # On a loaded machine a process takes the signal only when it next has the processor.
    deadline = time.monotonic() + _STOP_DEADLINE_S
    while any(_moves(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.002)


def _moves(pid: int) -> bool:
    try:
        return _stat(pid)[0] not in "TtZX"
    except OSError:
        return False


def _all() -> tuple[int, ...]:
    return tuple(int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def _stat(pid: int) -> list[str]:
    # What follows the name, which may hold spaces: the state comes first, see proc(5).
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
