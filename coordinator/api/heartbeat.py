"""The conversation that repeats: state in, orders out."""

from fastapi import APIRouter

from coordinator import pacing
from coordinator.api.access import Caller, Running
from coordinator.errors import Conflict
from coordinator.federation.invitations import invitation_of
from coordinator.requests import requests_of
from model_library.wire.base import WIRE_VERSION
from model_library.wire.orders import Heartbeat, Orders
from model_library.wire.tasks import Segment

router = APIRouter(prefix="/v1")


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
    if isinstance(caller.task, Segment):
        # Labels are imported beside the server, which is not told.
        services.campaigning.labels_arrived(caller.id)
    pacing.answer(place, caller, message)
    services.federating.look()
    return Orders(
        first_images=requests_of(place, caller),
        every_n=place.settings.every_n,
        release_id=published[-1] if published else None,
        # Also while the engine is down for a moment: a site that left needs a minute to come back.
        invitation=invitation_of(place, caller),
    )
