"""Federations over HTTP: what a member may train on, and the operator's words: begin, stop, lift."""

from fastapi import APIRouter, Depends

from coordinator.api.access import Caller, Running, require_operator
from coordinator.federation.invitations import grant_fields
from model_library.wire.base import Message
from model_library.wire.federation import FieldClaim, FieldGrant

router = APIRouter(prefix="/v1/federations")


class Wanted(Message):
    """Which cohort the operator wants to federate; None: the only one that could."""

    cohort: str | None = None


@router.post("/{federation_id}/fields")
def fields(federation_id: str, claim: FieldClaim, caller: Caller, services: Running) -> FieldGrant:
    """Tell a member on which of its fields of view it may train; more can be claimed at any time."""
    return grant_fields(services.place, caller, federation_id, claim.fields)


@router.post("", dependencies=[Depends(require_operator)])
def begin(wanted: Wanted, services: Running) -> dict[str, str]:
    """Begin a federation now."""
    return {"federation_id": services.federating.begin(wanted.cohort)}


@router.post("/{federation_id}/stop", dependencies=[Depends(require_operator)])
def stop(federation_id: str, services: Running) -> dict[str, str]:
    """End a federation that is under way; nothing of it is released."""
    services.federating.stop(federation_id)
    return {"federation_id": federation_id}


@router.post("/quarantine/{instrument_id}/lift", dependencies=[Depends(require_operator)])
def lift_quarantine(instrument_id: str, services: Running) -> dict[str, str]:
    """Let an instrument take part again that had sent what cannot be used."""
    services.federating.lift(instrument_id)
    return {"instrument_id": instrument_id}
