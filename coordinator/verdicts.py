"""Sittings of the gate: for a campaign's untuned winner, for its fine-tuned version, for any candidate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from benchmark.splits import Split
from coordinator.cases import cases_of
from coordinator.findings import instrument_of
from coordinator.methods import method_of
from coordinator.records import Finding
from coordinator.stages import classical_refs, selected
from coordinator.store.values import Campaign, Instrument
from coordinator.workplace import Workplace
from model_library.wire.methods import MethodRef, NetworkRef
from model_library.wire.tasks import Segment

if TYPE_CHECKING:
    from benchmark.cases import Case
    from benchmark.scores import Scores
    from benchmark.trust.findings import Finding as TrustFinding
    from benchmark.verdict import Role, Verdict

_METHOD: TypeAdapter[MethodRef] = TypeAdapter(MethodRef)

Rivals = Mapping["Role", Sequence[MethodRef]]
"""Whom a candidate is judged against; a method that appears twice counts in its first role."""

SittingRecord = dict[str, Any]
"""JSON: verdict, assigned (a method), rivals (role -> names), means, scores, perfect (field -> score)."""

FEDERATED_GATES = "gates"
"""Finding in which a federation keeps its sittings: instrument -> record."""
PERSONAL_GATES = "personal_gates"
"""The same, of those on an instrument's own version of the network."""


@dataclass(frozen=True)
class Look:
    """One look at an instrument's gate images: its number (from 1) and the tie allowed (`GatePolicy`)."""

    number: int
    tie_share: float = 0.0


def judge_first(place: Workplace, campaign: Campaign) -> str:
    """Judge the untuned winner against the method in service, the second network and the classical.

    Where the winner is in service already, the second network is judged against it.
    """
    from benchmark.verdict import Role

    in_service = method_in_service(place, campaign.instrument_id)
    networks = [ref for ref in selected(campaign) if ref is not None]
    candidate = next((ref for ref in networks if ref != in_service), networks[0])
    if candidate == in_service:
        in_service = None
    rivals: Rivals = {
        Role.IN_SERVICE: () if in_service is None else (in_service,),
        Role.SECOND: networks,
        Role.CLASSICAL: classical_refs(campaign),
    }
    return _judge(place, campaign, Finding.FIRST_GATE, candidate, rivals)


def judge_final(place: Workplace, campaign: Campaign) -> str:
    """Judge the fine-tuned version against what is in service, the untuned networks and the classical."""
    from benchmark.verdict import Role

    candidate = NetworkRef.model_validate(campaign.findings[Finding.TUNED]["method"])
    in_service = method_in_service(place, campaign.instrument_id)
    assert in_service is not None, "the first release comes before"
    rivals: Rivals = {
        Role.IN_SERVICE: (in_service,),
        Role.SECOND: [ref for ref in selected(campaign) if ref is not None],
        Role.CLASSICAL: classical_refs(campaign),
    }
    return _judge(place, campaign, Finding.FINAL_GATE, candidate, rivals)


def method_in_service(place: Workplace, instrument_id: str) -> MethodRef | None:
    """Tell which method an instrument's latest published release holds."""
    current = place.releases.current(instrument_id)
    return None if current is None else current.manifest.method


def in_service_at(campaign: Campaign, gate: Finding) -> MethodRef | None:
    """Tell which method was in service when a gate sat."""
    told = campaign.findings[gate]["in_service"]
    return None if told is None else _METHOD.validate_python(told)


def assigned_by(campaign: Campaign, gate: Finding) -> MethodRef:
    """Tell which method a sitting of the gate assigned."""
    return _METHOD.validate_python(campaign.findings[gate]["assigned"])


def looks_before(place: Workplace, instrument_id: str, apart_from: tuple[str, str] | None = None) -> int:
    """Count the sittings of the gate for an instrument so far, those of federations included.

    Parameters
    ----------
    apart_from
        (id of a campaign or federation, name of its finding) of the sitting that is about to be, so that
        a repeated step counts as the first time.
    """
    own = {*place.campaigns.of(instrument_id)}
    sat = [
        (origin, gate.value)
        for gate in (Finding.FIRST_GATE, Finding.FINAL_GATE)
        for origin in place.campaigns.holders(gate)
        if origin in own
    ]
    sat += [
        (origin, gate)
        for gate in (FEDERATED_GATES, PERSONAL_GATES)
        for origin in place.campaigns.holders(gate)
        if instrument_id in place.campaigns.finding(origin, gate)
    ]
    return sum(each != apart_from for each in sat)


def sit(
    place: Workplace,
    instrument: Instrument,
    candidate: NetworkRef,
    rivals: Rivals,
    cases: "Sequence[Case]",
    look: Look,
) -> SittingRecord:
    """Score a candidate and its rivals on an instrument's gate images, and judge.

    Parameters
    ----------
    cases
        Of gate fields that none of the networks was tuned on.
    look
        Which look at this instrument's gate images this is, see `looks_before`.
    """
    from benchmark.gate import Entrant, GatePolicy, judge
    from benchmark.metrics import Metric
    from benchmark.perfect import perfect_by_field

    entered = _entered(candidate, rivals)
    scores = _scored(place, instrument, entered, cases)
    segments = isinstance(instrument.task, Segment)
    policy = GatePolicy(
        metric=Metric.DICE if segments else Metric.PSNR_REPEAT,
        tie_share=look.tie_share,
        seed=place.settings.seed,
    )
    first, *others = (
        Entrant.of(scores, each.name, each.role).model_copy(
            update={"trust": _trust(place, instrument, each, cases)}
        )
        for each in entered
    )
    verdict = judge(first, others, look=look.number, policy=policy)
    return {**_record(verdict, scores, entered), "perfect": perfect_by_field(cases)}


@dataclass(frozen=True)
class _Entered:
    """A method at the gate under a name that no other one bears."""

    name: str
    role: "Role"
    ref: MethodRef


def _entered(candidate: NetworkRef, rivals: Rivals) -> list[_Entered]:
    from benchmark.scores import method_key
    from benchmark.verdict import Role

    entered = [_Entered(method_key(candidate), Role.CANDIDATE, candidate)]
    for role in (Role.IN_SERVICE, Role.SECOND, Role.CLASSICAL):
        for ref in rivals.get(role, ()):
            if any(each.ref == ref for each in entered):
                continue
            name = method_key(ref)
            if role is Role.IN_SERVICE and any(
                method_key(other) == name and other != ref for other in rivals.get(Role.CLASSICAL, ())
            ):
                # The same algorithm, with parameters that were tuned anew since.
                name = f"{name} as in service"
            entered.append(_Entered(name, role, ref))
    return entered


def _scored(
    place: Workplace, instrument: Instrument, entered: Sequence[_Entered], cases: "Sequence[Case]"
) -> "Scores":
    """Score every entrant under its name."""
    from benchmark.evaluate import evaluate
    from benchmark.scores import method_key

    merged: dict[str, dict[str, Any]] = {name: {} for name in ("refs", "values", "seconds", "failures")}
    for each in entered:
        place.check()
        scores = evaluate([method_of(place, each.ref, instrument.task)], cases)
        for name, held in merged.items():
            found = getattr(scores, name)
            if method_key(each.ref) in found:
                held[each.name] = found[method_key(each.ref)]
    return scores.model_copy(update=merged)


def _trust(
    place: Workplace, instrument: Instrument, entered: _Entered, cases: "Sequence[Case]"
) -> "tuple[TrustFinding, ...]":
    """Check the networks that this sitting could put into service; what is there already stays as it is."""
    from benchmark.trust.of_cases import check_cases
    from benchmark.verdict import Role

    if entered.role not in (Role.CANDIDATE, Role.SECOND):
        return ()
    place.check()
    method = method_of(place, entered.ref, instrument.task)
    return check_cases(method, cases, instrument.task, seed=place.settings.seed)


def _judge(place: Workplace, campaign: Campaign, gate: Finding, candidate: NetworkRef, rivals: Rivals) -> str:
    look = 1 + looks_before(place, campaign.instrument_id, (campaign.id, gate.value))
    cases = cases_of(place, campaign, Split.GATE)
    record = sit(place, instrument_of(place, campaign), candidate, rivals, cases, Look(look))
    in_service = method_in_service(place, campaign.instrument_id)
    told = None if in_service is None else in_service.model_dump(mode="json")
    place.campaigns.find_out(campaign.id, gate, {**record, "in_service": told})
    verdict = record["verdict"]
    return f"{'passed' if verdict['passed'] else 'not passed'}: {verdict['reasons'][0]}"


def _record(verdict: "Verdict", scores: "Scores", entered: Sequence[_Entered]) -> SittingRecord:
    from benchmark.verdict import Role

    assigned = next(each.ref for each in entered if each.name == verdict.assigned)
    named = {
        str(role): [each.name for each in entered if each.role is role]
        for role in (Role.IN_SERVICE, Role.SECOND, Role.CLASSICAL)
    }
    return {
        "verdict": verdict.model_dump(mode="json"),
        "assigned": assigned.model_dump(mode="json"),
        "rivals": named,
        "means": {key: scores.mean(key) for key in scores.values},
        "scores": scores.model_dump(mode="json"),
    }
