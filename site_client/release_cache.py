"""A folder that the daemons of one site share, so that each release comes over the network once.

Files are named by their SHA-256 and believed only after it was computed again: what another daemon, or
anybody, puts there is no more trusted than what comes over the network.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import structlog

from model_library.images.durable import write_durably
from model_library.processes.turns import turn
from model_library.signing.digests import sha256_bytes

_WAIT_S = 120.0
"""How long one daemon waits for another that fetches the same file, before it fetches it itself."""
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
        with ExitStack() as taking:
            with self._bearing():
                taking.enter_context(turn(self._folder / f".{sha256}.lock", self._wait_s))
            with self._bearing():
                if (content := self._found(sha256, length)) is not None:
                    write_durably(into, content)
                    return into
            path = download()
            with self._bearing():
                write_durably(self._folder / sha256, path.read_bytes(), mode=0o664)
            return path

    @contextmanager
    def _bearing(self) -> Iterator[None]:
        """Go on without the folder where it is of no use."""
        try:
            yield
        except OSError as trouble:
            _LOG.warning("release-cache-of-no-use", folder=str(self._folder), reason=str(trouble))

    def _found(self, sha256: str, length: int) -> bytes | None:
        path = self._folder / sha256
        if not path.is_file() or path.stat().st_size != length:
            return None
        content = path.read_bytes()
        return content if sha256_bytes(content) == sha256 else None
