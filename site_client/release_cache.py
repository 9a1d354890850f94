"""A folder that the daemons of one site share, so that each release comes over the network once.

Files are named by their SHA-256 and believed only after it was computed again: what another daemon, or
anybody, puts there is no more trusted than what comes over the network.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from model_library.images.durable import write_durably
from model_library.signing.digests import sha256_bytes

_WAIT_S = 120.0
"""How long one daemon waits for another that fetches the same file, before it fetches it itself."""
_LOOK_S = 0.05
_LOG = structlog.get_logger("site")


class ReleaseCache:
    """Files by digest in a shared folder; whatever is wrong with it costs a download and no more."""

    def __init__(self, folder: Path, wait_s: float = _WAIT_S) -> None:
        self._folder, self._wait_s = folder, wait_s

    def fetch(self, sha256: str, length: int, into: Path, download: Callable[[], Path]) -> Path:
        """Give a file from the folder, or have it downloaded and put it there.

        Parameters
        ----------
        sha256, length
            Of the file, as signed.
        into
            Where a copy goes; its folder exists.
        download
            Fetches and verifies the file, and tells where it is.
        """
        try:
            with self._turn(sha256):
                if (content := self._found(sha256, length)) is not None:
                    write_durably(into, content)
                    return into
                path = download()
                write_durably(self._folder / sha256, path.read_bytes(), mode=0o664)
                return path
        except OSError as trouble:
            _LOG.warning("release-cache-of-no-use", folder=str(self._folder), reason=str(trouble))
            return download()

    def _found(self, sha256: str, length: int) -> bytes | None:
        path = self._folder / sha256
        if not path.is_file() or path.stat().st_size != length:
            return None
        content = path.read_bytes()
        return content if sha256_bytes(content) == sha256 else None

    @contextmanager
    def _turn(self, sha256: str) -> Iterator[None]:
        """Be the only one that fetches a file; a holder that dies lets go."""
        self._folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(self._folder / f".{sha256}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o664)
        try:
            deadline = time.monotonic() + self._wait_s
            while not _locked(handle) and time.monotonic() < deadline:
                time.sleep(_LOOK_S)
            yield
        finally:
            os.close(handle)


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
