"""Federations over HTTP: what a member may train on, and the operator's word to begin one."""

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
