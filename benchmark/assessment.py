"""Methods x cases: networks against classical algorithms that were tuned on other fields."""

from collections.abc import Sequence

import numpy as np

from benchmark.baselines import classical_methods, train_pixel_classifier, tune
from benchmark.cases import Case, Labels, default_metric
from benchmark.compare import Comparison, compare, mean_interval
from benchmark.errors import BenchmarkError
from benchmark.evaluate import evaluate_all
from benchmark.method import Method
from benchmark.metrics import Metric
from benchmark.scores import Scores, method_key
from model_library.wire.base import Message
from model_library.wire.methods import MethodRef
from model_library.wire.tasks import Task


class Row(Message):
    """One method by one metric.

    Attributes
    ----------
    value, ci95
        Mean over fields and its interval; None where the method lacks a score, or for one field.
    n
        Fields of view.
    gain
        This method minus the best classical one, paired; None for that one itself.
    """

    method: str
    ref: MethodRef
    metric: Metric
    value: float | None
    ci95: tuple[float, float] | None
    n: int
    gain: Comparison | None
    megapixels_per_s: float | None


class Assessment(Message):
    """Scores of networks and tuned classical algorithms on the same cases.

    Attributes
    ----------
    rows
        By metric; best value first.
    best_classical
        By the first metric.
    tuning_fields
        What the classical algorithms were tuned on; none of it was scored on.
    failures
        Method -> why it lacks a score.
    """

    task: Task
    rows: tuple[Row, ...]
    best_classical: str
    tuning_fields: tuple[str, ...]
    scored_fields: tuple[str, ...]
    failures: dict[str, str]
    seed: int


def classical_rivals(
    task: Task, tuning: Sequence[Case], metric: Metric | None = None, *, seed: int = 0
) -> tuple[Method, ...]:
    """Tune every classical algorithm for a task; where the cases have masks, train the random forest too."""
    tuned = [tune(family, tuning, scale=task.scale, metric=metric) for family in classical_methods(task)]
    if not all(isinstance(case.reference, Labels) for case in tuning):
        return tuple(tuned)
    return (*tuned, train_pixel_classifier(tuning, metric=metric, seed=seed))


def assess(
    networks: Sequence[Method],
    task: Task,
    tuning: Sequence[Case],
    scored: Sequence[Case],
    *,
    metrics: Sequence[Metric] = (),
    seed: int = 0,
) -> Assessment:
    """Tune (the random forest: train) the classical algorithms on one set of cases, score all on another.

    Parameters
    ----------
    networks
        Methods of the task; may be none.
    tuning, scored
        Cases that share no field of view.
    metrics
        The first one decides; by default the one that the references call for.

    Raises
    ------
    BenchmarkError
        If the two sets share a field or one is empty.
    """
    shared = {case.field for case in tuning} & {case.field for case in scored}
    if shared or not tuning or not scored:
        raise BenchmarkError(
            "expected tuning and scored cases on different fields of view,"
            f" found {len(tuning)} and {len(scored)} cases that share {len(shared)} fields"
        )
    metrics = tuple(metrics) or (default_metric(scored[0].reference),)
    rivals = classical_rivals(task, tuning, metrics[0], seed=seed)
    found = evaluate_all((*networks, *rivals), scored, metrics)
    leading = found[metrics[0]]
    best = best_of(leading, [method_key(rival.ref) for rival in rivals])
    return Assessment(
        task=task,
        rows=tuple(row for metric in metrics for row in _rows(found[metric], best, seed)),
        best_classical=best,
        tuning_fields=tuple(sorted({case.field for case in tuning})),
        scored_fields=tuple(sorted({case.field for case in scored})),
        failures=leading.failures,
        seed=seed,
    )


def best_of(scores: Scores, keys: Sequence[str]) -> str:
    """Name the best of several methods by its mean; raises `BenchmarkError` where none has a score."""
    means = {key: mean for key in keys if (mean := scores.mean(key)) is not None}
    if not means:
        raise BenchmarkError("expected a classical algorithm with a score on every case, found none")
    return min(means, key=lambda key: scores.metric.place(means[key]))


def _rows(scores: Scores, best: str, seed: int) -> list[Row]:
    rows = [row_of(scores, key, best, seed) for key in scores.values]
    return sorted(rows, key=lambda row: scores.metric.place(row.value))


def row_of(scores: Scores, key: str, best: str, seed: int) -> Row:
    """Sum up one method's scores, and its paired difference to the method `best`."""
    fields, rival = scores.complete(key), scores.complete(best)
    several = fields is not None and len(fields) > 1
    return Row(
        method=key,
        ref=scores.refs[key],
        metric=scores.metric,
        value=scores.mean(key),
        ci95=mean_interval(np.array(list(fields.values())), seed=seed) if fields and several else None,
        n=len(set(scores.fields)),
        gain=compare(fields, rival, seed=seed) if fields and rival and several and key != best else None,
        megapixels_per_s=scores.megapixels_per_s(key),
    )
