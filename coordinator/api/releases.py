"""The TUF repository over HTTP: metadata for every instrument, targets for the one they are meant for."""

import re

from fastapi import APIRouter
from fastapi.responses import FileResponse

from coordinator.api.access import Caller, Running
from coordinator.errors import Forbidden, Unknown
from coordinator.services import Services
from model_library.wire.methods import NetworkRef

router = APIRouter(prefix="/v1/releases")

_METADATA = re.compile(r"\d{1,9}\.(root|targets|snapshot)\.json|timestamp\.json")
_CHANNEL = re.compile(r"channels/[0-9a-f]{64}\.([a-z0-9-]+)\.json")
_TRUST = re.compile(r"federation/[0-9a-f]{64}\.trusted-entities\.json")
_WEIGHTS = re.compile(r"weights/[0-9a-f]{64}\.([0-9a-f]{64})\.safetensors")


@router.get("/metadata/{name}")
def metadata(name: str, caller: Caller, services: Running) -> FileResponse:  # noqa: ARG001
    """Send a metadata file."""
    path = services.place.repository.metadata_file(name)
    if not _METADATA.fullmatch(name) or not path.is_file():
        message = (
            f"expected a TUF metadata file of this repository, found {name}; refresh from timestamp.json"
        )
        raise Unknown(message)
    return FileResponse(path, media_type="application/json", headers={"Cache-Control": "no-store"})


@router.get("/targets/{path:path}")
def target(path: str, caller: Caller, services: Running) -> FileResponse:
    """Send what is meant for every instrument, or was released for this one; ranges are served."""
    if not _meant_for(services, caller.id, path):
        message = f"expected a target released for this instrument, found {path}; read your own channel"
        raise Forbidden(message)
    file = services.place.repository.target_file(path)
    if not file.is_file():
        message = f"expected a target of this repository, found {path}; refresh the metadata"
        raise Unknown(message)
    return FileResponse(file, media_type="application/octet-stream")


def _meant_for(services: Services, instrument_id: str, path: str) -> bool:
    if channel := _CHANNEL.fullmatch(path):
        return channel.group(1) == instrument_id
    if _TRUST.fullmatch(path):
        return True
    if weights := _WEIGHTS.fullmatch(path):
        methods = (release.manifest.method for release in services.place.releases.of(instrument_id))
        return any(
            isinstance(each, NetworkRef) and each.weights_sha256 == weights.group(1) for each in methods
        )
    return False
