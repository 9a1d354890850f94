"""The conversation that repeats: state in, orders out."""

from fastapi import APIRouter

from coordinator.api.access import Caller, Running
from coordinator.errors import Conflict
from model_library.wire.base import WIRE_VERSION
from model_library.wire.images import ImagePurpose
from model_library.wire.orders import Heartbeat, Orders

router = APIRouter(prefix="/v1")
MOST_FIRST_IMAGES = 200


@router.post("/heartbeat")
def heartbeat(message: Heartbeat, caller: Caller, services: Running) -> Orders:
    """Keep what an instrument reports, and answer what is wanted of it."""
    place, now = services.place, services.place.clock()
    if message.wire_version != WIRE_VERSION:
        found = message.wire_version
        refusal = f"expected wire version {WIRE_VERSION}, found {found}; update the older side"
        raise Conflict(refusal)
    place.identities.heard(caller.id, message, now)
    releases = place.releases.of(caller.id)
    for release in releases:
        if release.id == message.release_id and release.installed_at is None:
            place.releases.installed(release.id, now)
    published = [release.id for release in releases if release.published_at is not None]
    # A refused first image is made up for by a later one.
    asked = place.settings.first_images + place.uploads.refused(caller.id, ImagePurpose.FIRST)
    return Orders(
        first_images=min(asked, MOST_FIRST_IMAGES),
        every_n=place.settings.every_n,
        release_id=published[-1] if published else None,
    )
