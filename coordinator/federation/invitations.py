"""What a site is told of a federation: that it is invited, and which of its frames it may train on."""

from collections.abc import Sequence

from coordinator.errors import FederationOver, Forbidden, Unknown
from coordinator.federation.records import Finding, Stage, Start
from coordinator.store.values import Instrument
from coordinator.workplace import Workplace
from model_library.wire.federation import FieldGrant, Invitation


def invitation_of(place: Workplace, instrument: Instrument) -> Invitation | None:
    """Invite a member of the federation that is under way, for as long as its rounds may last.

    Not before its first run: until then the instrument is not admitted to the fleet.
    """
    federation = place.federations.under_way()
    if federation is None or federation.stage != Stage.ROUNDS or Finding.RUNS not in federation.findings:
        return None
    start = Start.model_validate_json(federation.start)
    left_s = federation.created_at + start.longest_s - place.clock()
    if left_s <= 0 or not _is_member(start, instrument):
        return None
    return Invitation(federation_id=federation.id, task=start.task, rounds=start.rounds, ends_in_s=left_s)


def grant_fields(
    place: Workplace, instrument: Instrument, federation_id: str, fields: Sequence[str]
) -> FieldGrant:
    """Tell a member on which of its fields of view it may train.

    A field that the coordinator never heard of gets its split now, so that an image of it which
    arrives later is judged on or tuned on, never both.

    Raises
    ------
    Unknown
        No such federation.
    Forbidden
        The instrument is no member of it.
    FederationOver
        Its rounds are over.
    """
    federation = place.federations.get(federation_id)
    if federation is None:
        raise Unknown(f"expected a federation, found none called {federation_id}; read your orders")
    if not _is_member(Start.model_validate_json(federation.start), instrument):
        raise Forbidden(f"expected a member of {federation_id}, found another; wait for an invitation")
    if federation.stage not in (Stage.ASSEMBLING, Stage.ROUNDS):
        message = f"expected {federation_id} to be in its rounds, found {federation.stage}; stop training"
        raise FederationOver(message)
    return FieldGrant(tuning=place.federations.tuning_fields(instrument.id, fields))


def _is_member(start: Start, instrument: Instrument) -> bool:
    return instrument.id in {member.instrument_id for member in start.members}
