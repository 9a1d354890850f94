"""Carrying one image of the outbox to the coordinator: tus 1.0.0, resumed where it stopped."""

import base64
import hashlib
from collections.abc import Callable
from pathlib import Path

import httpx

from model_library.errors import ChildDied, ChildRefused
from model_library.signing.digests import sha256_file
from model_library.wire.images import ImagePurpose
from site_client.allowance import ImageAllowance
from site_client.coordinator_client import CoordinatorClient
from site_client.errors import CoordinatorRefused
from site_client.frames import UNUSABLE
from site_client.journal import BytesKind
from site_client.outbox import Outbox, OutboxItem
from site_client.spool import Spool

_CHUNK_BYTES = 1 << 20
_CHECKSUM_MISMATCH = 460
_GONE = (httpx.codes.NOT_FOUND, httpx.codes.GONE)
_ABSENT_RETRY_S = 60.0
_IMAGES_FAULT = UNUSABLE | {"SourceChanged"}
_KINDS = {ImagePurpose.FIRST: BytesKind.FIRST_IMAGES, ImagePurpose.BENCHMARK: BytesKind.BENCHMARK_IMAGES}


class Uploader:
    """Sends images in the outbox's order.

    Parameters
    ----------
    spool
        Tells where the images are.
    clock
        Seconds since the epoch.
    allowance
        The owner's limits; None where there are none.
    pace
        Called after every chunk with its bytes; it waits as long as the chunk should have taken.
    """

    def __init__(
        self,
        client: CoordinatorClient,
        outbox: Outbox,
        spool: Spool,
        clock: Callable[[], float],
        *,
        allowance: ImageAllowance | None = None,
        pace: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._client = client
        self._outbox = outbox
        self._spool = spool
        self._clock = clock
        self._allowance = allowance
        self._pace = pace

    def send_next(self) -> bool:
        """Send the next image; False where none is due.

        Raises
        ------
        CoordinatorUnreachable
            The image stays in the outbox; the next call resumes it.
        """
        item = self._next()
        if item is None:
            return False
        try:
            item, path = self._spool.ready(item)
            found = sha256_file(path)
        except ChildRefused as refusal:
            if refusal.code in _IMAGES_FAULT:
                self._outbox.lost(item, str(refusal))
                self._spool.drop(item)
            else:
                self._outbox.defer(item, f"cannot be made: {refusal}", until=self._clock() + _ABSENT_RETRY_S)
            return True
        except (OSError, ChildDied) as error:
            self._outbox.defer(item, f"cannot be read: {error}", until=self._clock() + _ABSENT_RETRY_S)
            return True
        if found != item.declaration.sha256:
            self._outbox.lost(item, f"{item.path} has changed since it was accepted")
            self._spool.drop(item)
            return True
        if self._allowance is not None:
            self._allowance.begin(item.id, item.declaration.purpose)
        try:
            self._deliver(item, path)
        except CoordinatorRefused as refusal:
            self._give_way(item, refusal)
        return True

    def _next(self) -> OutboxItem | None:
        if self._allowance is None:
            return self._outbox.next(self._clock())
        held, begun = self._allowance.held(), self._allowance.resumable()
        return self._outbox.next(self._clock(), held=held, besides=begun)

    def _give_way(self, item: OutboxItem, refusal: CoordinatorRefused) -> None:
        if refusal.status in _GONE and item.location is not None:
            self._outbox.locate(item, None)  # the upload expired: it is declared anew
        elif refusal.status in (httpx.codes.CONFLICT, _CHECKSUM_MISMATCH):
            self._outbox.defer(item, str(refusal), until=self._clock() + 1.0)
        elif refusal.status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            raise refusal
        else:
            self._outbox.refused(item, str(refusal))
            self._spool.drop(item)

    def _deliver(self, item: OutboxItem, path: Path) -> None:
        location = item.location or self._declare(item)
        answer = self._client.call("HEAD", location, headers=_TUS)
        if reason := answer.headers.get("Synoptic-Refused"):
            self._outbox.refused(item, reason)
            self._spool.drop(item)
            return
        offset = _offset(answer)
        with path.open("rb") as file:
            while offset < item.declaration.bytes:
                file.seek(offset)
                chunk = file.read(_CHUNK_BYTES)
                if not chunk:
                    self._outbox.lost(item, f"{item.path} became shorter while it was sent")
                    self._spool.drop(item)
                    return
                offset = self._send_chunk(item, location, offset, chunk)
                self._pace(len(chunk))
        self._outbox.delivered(item, now=self._clock())
        self._spool.drop(item)

    def _declare(self, item: OutboxItem) -> str:
        declaration = base64.b64encode(item.declaration.model_dump_json().encode()).decode()
        headers = {
            **_TUS,
            "Upload-Length": str(item.declaration.bytes),
            "Upload-Metadata": f"declaration {declaration}",
        }
        answer = self._client.call("POST", "/v1/uploads", headers=headers)
        location = httpx.URL(answer.headers["Location"]).raw_path.decode()
        self._outbox.locate(item, location)
        return location

    def _send_chunk(self, item: OutboxItem, location: str, offset: int, chunk: bytes) -> int:
        checksum = base64.b64encode(hashlib.sha256(chunk).digest()).decode()
        headers = {
            **_TUS,
            "Content-Type": "application/offset+octet-stream",
            "Upload-Offset": str(offset),
            "Upload-Checksum": f"sha256 {checksum}",
        }
        kind = _KINDS[item.declaration.purpose]
        return _offset(self._client.call("PATCH", location, content=chunk, headers=headers, kind=kind))


_TUS = {"Tus-Resumable": "1.0.0"}


def _offset(answer: httpx.Response) -> int:
    try:
        return int(answer.headers["Upload-Offset"])
    except (KeyError, ValueError) as error:
        raise CoordinatorRefused(
            answer.status_code, "no_offset", f"{answer.request.url}: expected Upload-Offset, found none"
        ) from error
