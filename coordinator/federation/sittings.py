"""The gate of a federation: at every instrument of the cohort, also where it took no part; then releases."""

from collections.abc import Iterable, Mapping
from typing import Any

from benchmark.scores import method_key
from benchmark.verdict import Role
from coordinator import publishing
from coordinator.errors import CannotAssess
from coordinator.federation.cohorts import Standing
from coordinator.federation.hearings import Hearing, concerned, gate_cases, hearing_of, local_only, rivals_of
from coordinator.federation.records import Finding, Stage
from coordinator.federation.versions import network_of, own_version
from coordinator.store.values import Event, Federation, ReleasePurpose
from coordinator.verdicts import Look, looks_before, sit
from coordinator.workplace import Workplace
from model_library.errors import SynopticError
from model_library.wire.methods import NetworkRef

_URGENCY = 6
"""As returned images: after the stages that lead to an instrument's first release."""


def judge_all(place: Workplace, federation: Federation) -> str:
    """Judge at each instrument of the cohort that was not judged yet: the common network, then its own."""
    gates = dict(federation.findings.get(Finding.GATES, {}))
    own_gates = dict(federation.findings.get(Finding.PERSONAL_GATES, {}))
    not_judged = dict(federation.findings.get(Finding.NOT_JUDGED, {}))
    for standing in concerned(place, federation):
        if standing.instrument_id in gates.keys() | not_judged.keys():
            continue
        with place.turns.turn(_URGENCY, place.check):
            record, own = _judge(place, federation, standing)
        if own is not None:
            own_gates[standing.instrument_id] = own
            place.federations.find_out(federation.id, Finding.PERSONAL_GATES, own_gates)
        (gates if "verdict" in record else not_judged)[standing.instrument_id] = record
        place.federations.find_out(federation.id, Finding.GATES, gates)
        place.federations.find_out(federation.id, Finding.NOT_JUDGED, not_judged)
        _note(place, federation, Stage.GATES, record, record["reasons"][0])
    records = [*gates.values(), *not_judged.values()]
    chosen = {each["instrument"]: _chosen(each, own_gates.get(each["instrument"])) for each in records}
    passed, refused = (
        _sites(each for each in records if (chosen[each["instrument"]] is not None) is told)
        for told in (True, False)
    )
    return f"passed at {passed}; not at {refused}"


def release_all(place: Workplace, federation: Federation) -> str:
    """Release wherever a network passed, the better one; the others keep what they have, and why is told."""
    own_gates = federation.findings.get(Finding.PERSONAL_GATES, {})
    releases = dict(federation.findings.get(Finding.RELEASES, {}))
    judged = {**federation.findings[Finding.GATES], **federation.findings[Finding.NOT_JUDGED]}
    for instrument_id, gate in judged.items():
        if instrument_id in releases:
            continue
        own = own_gates.get(instrument_id)
        releases[instrument_id] = record = _release(place, federation, instrument_id, gate, own)
        place.federations.find_out(federation.id, Finding.RELEASES, releases)
        given = "keeps its own" if record["release_id"] is None else f"is given {record['release_id']}"
        _note(place, federation, Stage.RELEASES, record, f"{given}: {record['reasons'][0]}")
    return f"released at {_sites(each for each in releases.values() if each['release_id'] is not None)}"


def _sites(records: Iterable[Mapping[str, Any]]) -> str:
    return ", ".join(each["site"] for each in records) or "no site"


def _judge(
    place: Workplace, federation: Federation, standing: Standing
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Judge at one instrument; what cannot be judged has not passed, and the reason says why."""
    release = place.releases.current(standing.instrument_id)
    told = {
        "site": standing.site,
        "instrument": standing.instrument_id,
        "release_in_service": None if release is None else release.id,
    }
    try:
        common, own = _sit(place, federation, hearing_of(place, standing, release))
    except SynopticError as refusal:
        return {**told, "passed": False, "reasons": [str(refusal)]}, None
    first, second = (
        None
        if sitting is None
        else {
            **told,
            "passed": sitting["verdict"]["passed"],
            "reasons": sitting["verdict"]["reasons"],
            **sitting,
        }
        for sitting in (common, own)
    )
    assert first is not None
    return first, second


def _sit(
    place: Workplace, federation: Federation, hearing: Hearing
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Judge the common network, then the instrument's own version, if it gave one, also against that."""
    instrument, common = hearing.instrument, network_of(federation)
    if hearing.release.manifest.method == common:
        raise CannotAssess("expected a network other than the one in service, found that very one; it stays")
    own, rivals = own_version(federation, instrument.id), rivals_of(hearing)
    candidates = (common,) if own is None else (common, own)
    at_hand = (*candidates, *rivals[Role.IN_SERVICE], *rivals[Role.SECOND])
    cases = gate_cases(place, federation, hearing, at_hand)
    # One that a crash has cut short left its second verdict behind: it is no look of its own.
    look = looks_before(place, instrument.id, (federation.id, Finding.PERSONAL_GATES)) + 1
    tie_share = place.settings.federation.tie_share
    first = sit(place, instrument, common, rivals, cases, Look(look, tie_share=tie_share))
    if own is None:
        return {**first, "quality": _quality(first["means"], hearing, common, None)}, None
    against = {**rivals, Role.SECOND: (common, *rivals[Role.SECOND])}
    second = sit(place, instrument, own, against, cases, Look(look + 1, tie_share=tie_share))
    return {**first, "quality": _quality(second["means"], hearing, common, own)}, second


def _quality(
    means: Mapping[str, float | None], hearing: Hearing, common: NetworkRef, own: NetworkRef | None
) -> dict[str, float | None]:
    """Tell the mean score of each kind of network at an instrument; None where there is no such one."""
    tuned = local_only(hearing.campaign)
    kinds = {
        "common": common,
        "personal": own,
        "local_only": tuned,
        "in_service": hearing.release.manifest.method,
    }
    return {kind: None if ref is None else means.get(method_key(ref)) for kind, ref in kinds.items()}


def _chosen(gate: Mapping[str, Any], own: Mapping[str, Any] | None) -> ReleasePurpose | None:
    """Choose between the two networks: the own version where it passed and is no worse on average."""
    if own is not None and own["passed"]:
        quality = gate["quality"]
        if not gate["passed"] or quality["personal"] >= quality["common"]:
            return ReleasePurpose.PERSONAL
    return ReleasePurpose.FEDERATED if gate["passed"] else None


def _release(
    place: Workplace,
    federation: Federation,
    instrument_id: str,
    gate: Mapping[str, Any],
    own: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Release at one instrument, or say why it keeps its own."""
    told = {"site": gate["site"], "instrument": instrument_id}
    instrument = place.identities.find(instrument_id)
    current = place.releases.current(instrument_id)
    begun = any(each.campaign_id == federation.id for each in place.releases.of(instrument_id))
    stays = None if current is None else current.manifest.method.model_dump(mode="json")
    kept = {**told, "release_id": None, "method": stays}
    purpose = _chosen(gate, own)
    if purpose is None:
        return {**kept, "reasons": gate["reasons"]}
    if instrument is None or instrument.revoked_at is not None:
        return {**kept, "reasons": ["the instrument was revoked in the meantime"]}
    if not begun and (current is None or current.id != gate["release_in_service"]):
        return {**kept, "reasons": ["another release came in between; the verdict was on the one before"]}
    network, reasons = network_of(federation), gate["reasons"]
    if purpose is ReleasePurpose.PERSONAL:
        version = own_version(federation, instrument_id)
        assert version is not None
        assert own is not None
        network, reasons = version, own["reasons"]
    release = publishing.release_assigned(place, instrument, network, reasons, federation.id, purpose)
    done = {"release_id": release.id, "method": network.model_dump(mode="json"), "reasons": reasons}
    return {**told, **done}


def _note(
    place: Workplace, federation: Federation, stage: Stage, record: Mapping[str, Any], text: str
) -> None:
    event = Event(place.clock(), stage, f"{record['site']}: {text}")
    place.federations.note(federation.id, f"{stage}/{record['instrument']}", event)
