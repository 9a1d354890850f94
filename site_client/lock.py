"""One daemon per folder, and a way to see whether it runs."""

import os
import time
from pathlib import Path

from model_library.processes.operating_system import try_lock
from site_client.errors import AlreadyRunning

FILE_NAME = "daemon.lock"
_TRIES = 5


class FolderLock:
    """Held by the daemon for as long as its process lives, however it ends."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME
        self._handle: int | None = None

    def acquire(self) -> None:
        """Take the lock.

        Raises
        ------
        AlreadyRunning
            Another process holds it.
        """
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        for attempt in range(_TRIES):
            if try_lock(handle):
                break
            # `site status` holds it for a moment when it looks.
            if attempt == _TRIES - 1:
                os.close(handle)
                raise AlreadyRunning(
                    f"expected no daemon on {self._path.parent}, found process {_pid(self._path)}; "
                    "stop it first"
                )
            time.sleep(0.05)
        os.ftruncate(handle, 0)
        os.write(handle, f"{os.getpid()}\n".encode())
        self._handle = handle

    def release(self) -> None:
        """Give the lock back."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def running_daemon(folder: Path) -> int | None:
    """Process id of the daemon on a folder; None where none runs."""
    path = folder / FILE_NAME
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        return None if try_lock(handle, shared=True) else _pid(path)
    finally:
        os.close(handle)


def _pid(path: Path) -> int:
    text = path.read_text().strip()
    return int(text) if text.isdigit() else 0
