"""Whether a server app is at work on a federation: it holds a lock, which dies with it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from model_library.processes.operating_system import try_lock

_LOCK_FILE = "alive.lock"


@contextmanager
def alive(folder: Path) -> Iterator[None]:
    """Show that this process works on a federation, until it ends, however it ends."""
    handle = os.open(folder / _LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        # Shared: an earlier process that has not noticed yet that it is superseded may hold it too.
        fcntl.flock(handle, fcntl.LOCK_SH)
        os.utime(handle)
        yield
    finally:
        os.close(handle)


def last_start(folder: Path) -> int:
    """When a process last began to work on the federation, in nanoseconds; 0 if none did."""
    lock = folder / _LOCK_FILE
    return lock.stat().st_mtime_ns if lock.exists() else 0


def is_alive(folder: Path) -> bool:
    """Whether any process works on the federation of this folder."""
    if last_start(folder) == 0:
        return False
    handle = os.open(folder / _LOCK_FILE, os.O_RDWR | os.O_CLOEXEC)
    try:
        return not try_lock(handle)
    finally:
        os.close(handle)
