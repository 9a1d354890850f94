"""The bytes of an upload: appended where the last durable byte lies, counted only once they are durable."""

import base64
import binascii
import hashlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from fastapi import Request
from fastapi.concurrency import run_in_threadpool

from coordinator.errors import ChecksumMismatch, Conflict, CoordinatorError, TooLarge
from coordinator.store.uploads import Uploads
from coordinator.store.values import Upload
from model_library.images.durable import sync_folder

_BUFFER_BYTES = 1024 * 1024


class Disconnected(Exception):
    """The client went away in the middle of a body."""


async def body_of(request: Request) -> AsyncIterator[bytes]:
    """Yield the pieces of a body as they arrive.

    Raises
    ------
    Disconnected
        The client went away before the end.
    """
    more = True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        more = message.get("more_body", False)
        yield message.get("body", b"")


def parse_checksum(header: str | None) -> bytes | None:
    """Digest in a header `Upload-Checksum: sha256 <base64>`.

    Raises
    ------
    CoordinatorError
        Another algorithm, or no base64.
    """
    if header is None:
        return None
    algorithm, _, encoded = header.partition(" ")
    try:
        if algorithm == "sha256":
            return base64.b64decode(encoded, validate=True)
    except binascii.Error:
        pass
    message = f"expected Upload-Checksum to be sha256 and base64, found {header[:80]!r}; correct the header"
    raise CoordinatorError(message)


@dataclass
class _Chunk:
    """One PATCH under way; `offset` counts what is written, `durable` what is synced and recorded."""

    upload: Upload
    part: Path
    file: BinaryIO
    checksum: bytes | None
    uploads: Uploads
    flush_bytes: int

    def __post_init__(self) -> None:
        self.offset = self.durable = self.upload.offset
        self.digest = hashlib.sha256()

    def write(self, content: bytes) -> None:
        if self.offset + len(content) > self.upload.declaration.bytes:
            told = self.upload.declaration.bytes
            message = f"expected {told} bytes as declared, found more; declare the image anew"
            raise TooLarge(message)
        self.file.write(content)
        self.digest.update(content)
        self.offset += len(content)
        # A chunk with a checksum counts as a whole or not at all.
        if self.checksum is None and self.offset - self.durable >= self.flush_bytes:
            self.flush()

    def flush(self) -> None:
        self.file.flush()
        os.fsync(self.file.fileno())
        if self.durable == 0:
            sync_folder(self.part.parent)
        self.uploads.advance(self.upload.id, self.offset)
        self.durable = self.offset

    def finish(self) -> int:
        if self.checksum is not None and self.digest.digest() != self.checksum:
            message = "expected the bytes to have the checksum sent with them, found another; send them again"
            raise ChecksumMismatch(message)
        self.flush()
        return self.offset


class Receiver:
    """Receives PATCH bodies; of two for one upload the later one wins.

    A site that reconnects after its link broke must not wait for the server to notice that the
    earlier connection is dead.
    """

    def __init__(self, uploads: Uploads, flush_bytes: int) -> None:
        self._uploads = uploads
        self._flush_bytes = flush_bytes
        self._buffer_bytes = min(_BUFFER_BYTES, flush_bytes)
        self._latest: dict[str, object] = {}

    async def receive(
        self, upload: Upload, part: Path, body: AsyncIterator[bytes], checksum: bytes | None
    ) -> int:
        """Append a body to an upload; returns the new offset.

        Raises
        ------
        ChecksumMismatch, TooLarge
            Nothing of the chunk, or nothing beyond the last flush, is kept.
        Conflict
            A later request took over.
        """
        turn = object()
        self._latest[upload.id] = turn
        chunk = await run_in_threadpool(self._open, upload, part, checksum)
        try:
            await self._copy(chunk, body, turn)
            self._check(upload, turn)
            return await run_in_threadpool(chunk.finish)
        except Disconnected:
            if checksum is None and self._latest.get(upload.id) is turn:
                await run_in_threadpool(chunk.flush)
            raise
        finally:
            chunk.file.close()
            if self._latest.get(upload.id) is turn:
                del self._latest[upload.id]

    async def _copy(self, chunk: _Chunk, body: AsyncIterator[bytes], turn: object) -> None:
        waiting = bytearray()
        try:
            async for piece in body:
                waiting += piece
                if len(waiting) >= self._buffer_bytes:
                    self._check(chunk.upload, turn)
                    await run_in_threadpool(chunk.write, bytes(waiting))
                    waiting.clear()
        finally:
            if waiting and self._latest.get(chunk.upload.id) is turn:
                await run_in_threadpool(chunk.write, bytes(waiting))

    def _check(self, upload: Upload, turn: object) -> None:
        if self._latest.get(upload.id) is not turn:
            found = f"expected one request at a time for upload {upload.id}, found a later one"
            raise Conflict(f"{found}; ask for the offset and go on there")

    def _open(self, upload: Upload, part: Path, checksum: bytes | None) -> _Chunk:
        # A file object of its own per request; buffering is done above.
        descriptor = os.open(part, os.O_RDWR | os.O_CREAT, 0o600)
        file = os.fdopen(descriptor, "r+b", buffering=0)
        file.truncate(upload.offset)
        file.seek(upload.offset)
        return _Chunk(upload, part, file, checksum, self._uploads, self._flush_bytes)
