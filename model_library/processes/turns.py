"""Processes that take turns: of several that want the same work done, one does it and the others find it."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from model_library.processes.operating_system import try_lock

_LOOK_S = 0.05


@contextmanager
def turn(lock: Path, wait_s: float) -> Iterator[None]:
    """Be the only process at a piece of work; a holder that dies lets go.

    Parameters
    ----------
    lock
        A file that stands for the work; it and its folder are made where they are missing, and stay.
    wait_s
        After so long the work is begun all the same: it may be done twice, but it is done.

    Raises
    ------
    OSError
        The file cannot be made.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o664)
    try:
        deadline = time.monotonic() + wait_s
        while not try_lock(handle) and time.monotonic() < deadline:
            time.sleep(_LOOK_S)
        yield
    finally:
        os.close(handle)
