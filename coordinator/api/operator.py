"""What the operator sees and does."""

from typing import Any

from fastapi import APIRouter, Depends

from coordinator.api.access import Running, require_operator
from coordinator.errors import Unknown
from coordinator.founding import enrolment_token
from coordinator.overview import overview_of

router = APIRouter(prefix="/v1", dependencies=[Depends(require_operator)])


@router.get("/overview")
def overview(services: Running) -> dict[str, Any]:
    """Tell everything about instruments, campaigns, releases and monitoring."""
    return overview_of(services.place)


@router.post("/enrol-tokens")
def enrol_token(services: Running) -> dict[str, str]:
    """Make a one-time enrolment token."""
    place = services.place
    life_s = place.settings.enrol_token_life_s
    return {"token": enrolment_token(place.identities, place.settings.data, place.clock(), life_s)}


@router.post("/instruments/{instrument_id}/revoke")
def revoke(instrument_id: str, services: Running) -> dict[str, str]:
    """Revoke an instrument, effective with its next request."""
    if services.place.identities.find(instrument_id) is None:
        message = f"expected an enrolled instrument, found {instrument_id}; see /v1/overview"
        raise Unknown(message)
    services.place.identities.revoke(instrument_id, services.place.clock())
    return {"revoked": instrument_id}
