"""Which of two processes may write to a federation's folder: the one that started last."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from coordinator.errors import CoordinatorError
from model_library.images.durable import write_durably
from model_library.processes.operating_system import try_lock

_CLAIM_FILE, _LOCK_FILE = "claim", "claim.lock"
_PATIENCE_S = 60.0
_LOOK_S = 0.02


class Superseded(CoordinatorError):
    """Another process has taken over this federation; this one must leave it alone."""

    code = "superseded"


class Claim:
    """The right to write to a federation's folder; making a new one ends all earlier ones.

    An app process that lost its SuperLink may live on for a while; whatever it still does must not
    mix with the work of the process that was started in its place.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._token = uuid4().hex
        with self._locked():
            write_durably(folder / _CLAIM_FILE, self._token.encode())

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep others from taking over while something is written.

        Raises
        ------
        Superseded
            Another process has taken over before.
        """
        with self._locked():
            if (self._folder / _CLAIM_FILE).read_text() != self._token:
                raise Superseded(
                    f"{self._folder}: expected to be the only process of this federation, found that "
                    "another has taken over; nothing is written"
                )
            yield

    def check(self) -> None:
        """Raise `Superseded` if another process has taken over."""
        with self.held():
            pass

    @contextmanager
    def _locked(self) -> Iterator[None]:
        handle = os.open(self._folder / _LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            _lock(handle, time.monotonic() + _PATIENCE_S, self._folder)
            yield
        finally:
            os.close(handle)


def _lock(handle: int, deadline: float, folder: Path) -> None:
    while not try_lock(handle):
        if time.monotonic() > deadline:
            raise Superseded(
                f"{folder}: expected to write within {_PATIENCE_S:g} s, found another process writing "
                "all the time; end it"
            )
        time.sleep(_LOOK_S)
