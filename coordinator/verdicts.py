"""The two sittings of the gate in a campaign: the untuned winner, then the fine-tuned version."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from benchmark.splits import Split
from coordinator.methods import cases_of, instrument_of, method_of
from coordinator.records import Finding
from coordinator.stages import classical_refs, selected
from coordinator.store.values import Campaign
from coordinator.workplace import Workplace
from model_library.wire.methods import MethodRef, NetworkRef

if TYPE_CHECKING:
    from benchmark.gate import Verdict
    from benchmark.scores import Scores

_METHOD: TypeAdapter[MethodRef] = TypeAdapter(MethodRef)


def judge_first(place: Workplace, campaign: Campaign) -> str:
    """Judge the untuned winner against the second network and the classical algorithms."""
    from benchmark.gate import Role

    winner, second = selected(campaign)
    rivals: dict[Role, tuple[MethodRef, ...]] = {
        Role.SECOND: () if second is None else (second,),
        Role.CLASSICAL: classical_refs(campaign),
    }
    return _sit(place, campaign, Finding.FIRST_GATE, winner, rivals)


def judge_final(place: Workplace, campaign: Campaign) -> str:
    """Judge the fine-tuned version against what is in service, the untuned networks and the classical."""
    from benchmark.gate import Role

    candidate = NetworkRef.model_validate(campaign.findings[Finding.TUNED]["method"])
    in_service = in_service_of(campaign)
    networks = [ref for ref in selected(campaign) if ref is not None and ref != in_service]
    rivals: dict[Role, tuple[MethodRef, ...]] = {
        Role.IN_SERVICE: (in_service,),
        Role.SECOND: tuple(networks),
        Role.CLASSICAL: tuple(ref for ref in classical_refs(campaign) if ref != in_service),
    }
    return _sit(place, campaign, Finding.FINAL_GATE, candidate, rivals)


def in_service_of(campaign: Campaign) -> MethodRef:
    """Tell what the campaign's first release put in service."""
    return _METHOD.validate_python(campaign.findings[Finding.FIRST]["method"])


def assigned_by(campaign: Campaign, gate: Finding) -> MethodRef:
    """Tell which method a sitting of the gate assigned."""
    return _METHOD.validate_python(campaign.findings[gate]["assigned"])


def _sit(
    place: Workplace,
    campaign: Campaign,
    gate: Finding,
    candidate: NetworkRef,
    rivals: "Mapping[Any, tuple[MethodRef, ...]]",
) -> str:
    from benchmark.evaluate import evaluate
    from benchmark.gate import Entrant, GatePolicy, Role, judge
    from benchmark.scores import method_key

    task = instrument_of(place, campaign).task
    refs = [candidate, *(ref for group in rivals.values() for ref in group)]
    methods = []
    for ref in refs:
        place.check()
        methods.append(method_of(place, ref, task))
    scores = evaluate(methods, cases_of(place, campaign, Split.GATE))
    verdict = judge(
        Entrant.of(scores, method_key(candidate), Role.CANDIDATE),
        [Entrant.of(scores, method_key(ref), role) for role, group in rivals.items() for ref in group],
        look=1 if gate is Finding.FIRST_GATE else 2,
        policy=GatePolicy(seed=place.settings.seed),
    )
    assigned = next(ref for ref in refs if method_key(ref) == verdict.assigned)
    named = {str(role): [method_key(ref) for ref in group] for role, group in rivals.items()}
    place.campaigns.find_out(campaign.id, gate, _record(verdict, scores, assigned, named))
    return f"{'passed' if verdict.passed else 'not passed'}: {verdict.reasons[0]}"


def _record(
    verdict: "Verdict", scores: "Scores", assigned: MethodRef, named: Mapping[str, list[str]]
) -> dict[str, Any]:
    return {
        "verdict": verdict.model_dump(mode="json"),
        "assigned": assigned.model_dump(mode="json"),
        "rivals": dict(named),
        "means": {key: scores.mean(key) for key in scores.values},
        "scores": scores.model_dump(mode="json"),
    }
