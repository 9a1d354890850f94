"""Resumable uploads: tus 1.0.0 with creation, checksum, termination and expiration."""

import base64
import binascii
from email.utils import formatdate

from fastapi import APIRouter, Depends, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import ValidationError

from coordinator.api.access import Caller, Running
from coordinator.api.receiving import Disconnected, Receiver, body_of, parse_checksum
from coordinator.api.refusals import TUS_VERSION
from coordinator.errors import (
    Conflict,
    CoordinatorError,
    Gone,
    PreconditionFailed,
    TooLarge,
    Unknown,
    Unprocessable,
    WrongMediaType,
)
from coordinator.services import Services
from coordinator.store.values import Instrument, Upload, UploadState
from model_library.wire.images import ImageDeclaration

_OFFSET_TYPE = "application/offset+octet-stream"
_METADATA_BYTES = 8 * 1024


def check_version(request: Request) -> None:
    """Refuse another version of tus."""
    found = request.headers.get("tus-resumable")
    if found != TUS_VERSION:
        raise PreconditionFailed(f"expected Tus-Resumable {TUS_VERSION}, found {found}; use a tus 1.0 client")


router = APIRouter()
_open = APIRouter(prefix="/v1/uploads")
_versioned = APIRouter(prefix="/v1/uploads", dependencies=[Depends(check_version)])


@_open.options("")
def options(services: Running) -> Response:
    """Tell what this server understands."""
    return _answer(
        204,
        {
            "Tus-Version": TUS_VERSION,
            "Tus-Extension": "creation,checksum,termination,expiration",
            "Tus-Max-Size": str(services.place.settings.upload_bytes),
            "Tus-Checksum-Algorithm": "sha256",
        },
    )


@_versioned.post("")
def create(request: Request, caller: Caller, services: Running) -> Response:
    """Open an upload for a declared image, or find the one that it has."""
    place = services.place
    length = _number(request, "upload-length")
    if length > place.settings.upload_bytes:
        message = (
            f"expected at most {place.settings.upload_bytes} bytes, found {length}; send a smaller image"
        )
        raise TooLarge(message)
    declaration = _declaration(request.headers.get("upload-metadata", ""))
    if declaration.bytes != length:
        message = f"expected Upload-Length to be the declared {declaration.bytes} bytes, found {length}"
        raise Unprocessable(f"{message}; declare the file's size")
    expires_at = place.clock() + place.settings.upload_life_s
    upload = place.uploads.declare(caller.id, declaration, expires_at)
    if upload.state is UploadState.OPEN and upload.offset == 0:
        services.intake.adopt_known(upload)
    return _answer(201, {"Location": f"/v1/uploads/{upload.id}", **_expiry(upload)})


@_versioned.head("/{upload_id}")
def head(upload_id: str, caller: Caller, services: Running) -> Response:
    """Tell how much of an upload is durable, and whether the image was refused."""
    upload = _own(services, caller, upload_id)
    headers = {
        "Upload-Offset": str(upload.offset),
        "Upload-Length": str(upload.declaration.bytes),
        "Cache-Control": "no-store",
        **_expiry(upload),
    }
    if upload.state is UploadState.REFUSED:
        headers["Synoptic-Refused"] = (upload.refusal or "refused").encode("ascii", "replace").decode()[:500]
    return _answer(200, headers)


@_versioned.patch("/{upload_id}")
async def patch(upload_id: str, request: Request, caller: Caller, services: Running) -> Response:
    """Append bytes; with the last one the image is taken in."""
    upload = await run_in_threadpool(_own, services, caller, upload_id)
    offset = _check_patch(request, upload)
    if offset < upload.declaration.bytes:
        receiver = request.app.state.receiver
        assert isinstance(receiver, Receiver)
        checksum = parse_checksum(request.headers.get("upload-checksum"))
        part = services.intake.part(upload)
        try:
            offset = await receiver.receive(upload, part, body_of(request), checksum)
        except Disconnected:
            return _answer(400, {})
    if offset == upload.declaration.bytes and upload.state is UploadState.OPEN:
        await run_in_threadpool(services.intake.complete, upload)
    return _answer(204, {"Upload-Offset": str(offset), **_expiry(upload)})


@_versioned.delete("/{upload_id}")
def terminate(upload_id: str, caller: Caller, services: Running) -> Response:
    """End an upload and drop its bytes; an accepted image stays."""
    upload = _own(services, caller, upload_id)
    services.place.uploads.forget(upload.id)
    services.intake.part(upload).unlink(missing_ok=True)
    return _answer(204, {})


router.include_router(_open)
router.include_router(_versioned)


def _answer(status: int, headers: dict[str, str]) -> Response:
    return Response(status_code=status, headers={"Tus-Resumable": TUS_VERSION, **headers})


def _expiry(upload: Upload) -> dict[str, str]:
    if upload.state is not UploadState.OPEN:
        return {}
    return {"Upload-Expires": formatdate(upload.expires_at, usegmt=True)}


def _own(services: Services, caller: Instrument, upload_id: str) -> Upload:
    """Find an upload of the caller; another's is as unknown as none."""
    upload = services.place.uploads.find(upload_id)
    if upload is None or upload.instrument_id != caller.id:
        raise Unknown(f"expected an upload of this instrument, found none called {upload_id}; declare it")
    if upload.state is UploadState.OPEN and upload.expires_at < services.place.clock():
        raise Gone(f"expected an upload in time, found {upload_id} expired; declare the image again")
    return upload


def _check_patch(request: Request, upload: Upload) -> int:
    if request.headers.get("content-type") != _OFFSET_TYPE:
        found = request.headers.get("content-type")
        raise WrongMediaType(f"expected Content-Type {_OFFSET_TYPE}, found {found}; use a tus client")
    if upload.state is UploadState.REFUSED:
        raise Unprocessable(upload.refusal or "expected a usable image, found one that was refused")
    offset = _number(request, "upload-offset")
    if offset != upload.offset:
        message = (
            f"expected Upload-Offset {upload.offset}, found {offset}; ask for it with HEAD and go on there"
        )
        raise Conflict(message)
    length = request.headers.get("content-length")
    if length is not None and length.isdecimal() and offset + int(length) > upload.declaration.bytes:
        message = (
            f"expected {upload.declaration.bytes} bytes in all, found {offset + int(length)}; send no more"
        )
        raise TooLarge(message)
    return offset


def _number(request: Request, header: str) -> int:
    value = request.headers.get(header, "")
    if not value.isascii() or not value.isdecimal() or len(value) > 18:
        raise CoordinatorError(f"expected {header} to be a whole number, found {value[:40]!r}; correct it")
    return int(value)


def _declaration(metadata: str) -> ImageDeclaration:
    if len(metadata) > _METADATA_BYTES:
        raise TooLarge(f"expected Upload-Metadata of at most {_METADATA_BYTES} bytes, found {len(metadata)}")
    pairs = dict(pair.strip().partition(" ")[::2] for pair in metadata.split(","))
    try:
        return ImageDeclaration.model_validate_json(base64.b64decode(pairs["declaration"], validate=True))
    except (KeyError, binascii.Error, ValidationError) as error:
        message = (
            "expected Upload-Metadata with `declaration <base64 of ImageDeclaration>`, found none that is "
            "valid; correct the declaration"
        )
        raise Unprocessable(message) from error
