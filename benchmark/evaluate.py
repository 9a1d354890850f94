"""Run methods on cases and score what they return."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from benchmark.cases import Case, default_metric, score
from benchmark.errors import BenchmarkError
from benchmark.method import Method
from benchmark.metrics import Metric
from benchmark.scores import Scores, method_key, refs_of
from benchmark.served import served
from model_library.errors import SynopticError
from model_library.wire.methods import MethodRef


def evaluate(methods: Sequence[Method], cases: Sequence[Case], metric: Metric | None = None) -> Scores:
    """Score every method on every case by one metric (by default the one that the references call for)."""
    metric = metric or default_metric(_first(cases).reference)
    return evaluate_all(methods, cases, (metric,))[metric]


def evaluate_all(
    methods: Sequence[Method],
    cases: Sequence[Case],
    metrics: Sequence[Metric],
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[Metric, Scores]:
    """Score every method on every case by several metrics, running each method once per case.

    A method that refuses a case, returns another shape or returns a pixel that is not finite has no
    score there (None), and `failures` says why.

    Raises
    ------
    BenchmarkError
        Without cases, or if two methods bear the same name.
    """
    _first(cases)
    refs = refs_of(methods)
    runs = {
        method_key(method.ref): [attempt(method, case, metrics, clock) for case in cases]
        for method in methods
    }
    shown = [Shown(case.field, case.name, case.input.size) for case in cases]
    return {metric: scores_of(metric, refs, runs, shown) for metric in metrics}


@dataclass(frozen=True)
class Attempt:
    """One run of a method on a case: None, or nothing, for a metric without a finite score, and then why."""

    scores: Mapping[Metric, float | None]
    seconds: float
    failure: str | None = None


class Shown(NamedTuple):
    """What all methods were run on: field of view, name and number of pixels."""

    field: str
    name: str
    pixels: int


def scores_of(
    metric: Metric,
    refs: Mapping[str, MethodRef],
    attempts: Mapping[str, Sequence[Attempt]],
    shown: Sequence[Shown],
) -> Scores:
    """Put together what one attempt per method and image came to."""
    failures = {key: [row.failure for row in rows if row.failure] for key, rows in attempts.items()}
    return Scores(
        metric=metric,
        fields=tuple(each.field for each in shown),
        names=tuple(each.name for each in shown),
        refs=dict(refs),
        values={key: tuple(row.scores.get(metric) for row in rows) for key, rows in attempts.items()},
        seconds={key: sum(row.seconds for row in rows) for key, rows in attempts.items()},
        megapixels=sum(each.pixels for each in shown) / 1e6,
        failures={key: found[0] for key, found in failures.items() if found},
    )


def attempt(method: Method, case: Case, metrics: Sequence[Metric], clock: Callable[[], float]) -> Attempt:
    """Run a method on a case; a refusal is an attempt without scores."""
    start = clock()
    try:
        prediction = served(method, case.pixel_size_nm)(case.input)
        seconds = clock() - start
        found = {metric: score(prediction, case.reference, metric) for metric in metrics}
    except SynopticError as refusal:
        return Attempt(dict.fromkeys(metrics), clock() - start, f"{case.name}: {refusal}")
    if all(math.isfinite(value) for value in found.values()):
        return Attempt(found, seconds)
    return Attempt(
        {metric: value if math.isfinite(value) else None for metric, value in found.items()},
        seconds,
        f"{case.name}: expected a finite score, found pixels or a risk that give none",
    )


def _first(cases: Sequence[Case]) -> Case:
    if not cases:
        raise BenchmarkError("expected at least one case, found none; send images first")
    return cases[0]
