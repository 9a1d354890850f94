"""Scores of the method in service on returned images, next to a perfect result and a classical algorithm."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from coordinator.records import Finding
from coordinator.store.values import Campaign, MonitoringScore
from coordinator.workplace import Workplace
from model_library.wire.methods import MethodRef

if TYPE_CHECKING:
    from benchmark.drift import Series
    from benchmark.drift_policy import DriftPolicy
    from benchmark.metrics import Metric
    from benchmark.scores import Scores

_METHOD: TypeAdapter[MethodRef] = TypeAdapter(MethodRef)
PERFECT = "a perfect result"
"""What a score is held against where the noise of its image is known: see `benchmark.perfect`."""


def reference_of(campaign: Campaign, method: MethodRef) -> MethodRef | None:
    """Name the classical algorithm that a method is held against: the best other one at its gate.

    A method that came by a federation was at no gate of the campaign; then that of its latest gate. None
    before any gate, or without another classical algorithm.
    """
    record = _sitting(campaign, method) or _sitting(campaign)
    if record is None:
        return None
    refs, means = record["scores"]["refs"], record["means"]
    names = {str(record["verdict"]["best_classical"]), *record["rivals"]["classical"]}
    others = [
        name
        for name in sorted(names)
        if refs.get(name) not in (None, method.model_dump(mode="json")) and means.get(name) is not None
    ]
    best = max(others, key=lambda name: float(means[name]), default=None)
    return None if best is None else _METHOD.validate_python(refs[best])


def score_series(
    place: Workplace, measured: Campaign, sequences: set[int], policy: "DriftPolicy"
) -> "tuple[Series, ...]":
    """Collect scores of the method in service now, against those that it had at the gate.

    Parameters
    ----------
    measured
        The campaign whose gate gives the baseline.
    sequences
        Of the returned images that are watched.
    """
    current = place.releases.current(measured.instrument_id)
    scores = [
        each
        for each in place.scores.of(measured.instrument_id)
        if current is not None and each.release_id == current.id and each.sequence in sequences
    ]
    if current is None or all(each.score is None for each in scores):
        return ()
    method = current.manifest.method
    return (_alone(measured, method, scores, policy), *_leads(measured, method, scores, policy))


def _alone(
    measured: Campaign, method: MethodRef, scores: list[MonitoringScore], policy: "DriftPolicy"
) -> "Series":
    """Hold each score against that of a perfect result, where every one of them has it."""
    from benchmark.drift import Series
    from benchmark.drift_policy import Feature
    from benchmark.metrics import Metric

    metric = Metric(scores[0].metric)
    own, perfect = _at_gate(measured, method, metric), _perfect_at_gate(measured, method)
    held = all(each.perfect is not None for each in scores if each.score is not None)
    held = held and own.keys() <= perfect.keys()
    return Series(
        Feature.SCORE,
        tuple(value - perfect[field] if held else value for field, value in own.items()),
        tuple(
            (each.sequence, each.score - (each.perfect or 0.0) if held else each.score)
            for each in scores
            if each.score is not None
        ),
        policy.floor(Feature.SCORE, metric.unit),
        against=PERFECT if held else "",
        unit=metric.unit,
    )


def _leads(
    measured: Campaign, method: MethodRef, scores: list[MonitoringScore], policy: "DriftPolicy"
) -> "tuple[Series, ...]":
    from benchmark.drift import Series
    from benchmark.drift_policy import Feature
    from benchmark.metrics import Metric
    from benchmark.scores import method_key

    reference, metric = reference_of(measured, method), Metric(scores[0].metric)
    if reference is None:
        return ()
    own, other = _at_gate(measured, method, metric), _at_gate(measured, reference, metric)
    observed = tuple(
        (each.sequence, each.score - each.reference_score)
        for each in scores
        if each.score is not None and each.reference_score is not None and each.reference == reference
    )
    return (
        Series(
            Feature.LEAD,
            tuple(own[field] - other[field] for field in own if field in other),
            observed,
            policy.floor(Feature.LEAD, metric.unit),
            against=method_key(reference),
            unit=metric.unit,
        ),
    )


def _at_gate(measured: Campaign, method: MethodRef, metric: "Metric") -> Mapping[str, float]:
    """Scores per field that a method had at the campaign's latest sitting; none if it was not there."""
    from benchmark.scores import Scores

    record = _sitting(measured, method)
    if record is None or record["scores"]["metric"] != metric:
        return {}
    scores = Scores.model_validate(record["scores"])
    return scores.complete(_name_of(scores, method)) or {}


def _perfect_at_gate(measured: Campaign, method: MethodRef) -> Mapping[str, float]:
    record = _sitting(measured, method)
    return {} if record is None else record.get("perfect", {})


def _name_of(scores: "Scores", method: MethodRef) -> str:
    return next(name for name, ref in scores.refs.items() if ref == method)


def _sitting(campaign: Campaign, method: MethodRef | None = None) -> Mapping[str, Any] | None:
    """Find the latest sitting of the gate, that a method was at if one is named."""
    told = None if method is None else method.model_dump(mode="json")
    for gate in (Finding.FINAL_GATE, Finding.FIRST_GATE):
        record: Mapping[str, Any] | None = campaign.findings.get(gate)
        if record is not None and (told is None or told in record["scores"]["refs"].values()):
            return record
    return None
