"""A paired race: networks see the same crops in the same order, and those that cannot win stop early.

Selection by racing as in Maron and Moore (1994), with standard errors of paired differences in place of
Hoeffding's bound and the correction for drawing without replacement (Cochran 1977, section 2.6): what a
race estimates is the outcome on all of its crops, which it meets exactly if it runs to the end.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from benchmark.cases import Case, default_metric
from benchmark.errors import BenchmarkError
from benchmark.evaluate import Attempt, Shown, attempt, scores_of
from benchmark.method import Method
from benchmark.metrics import Metric
from benchmark.scores import Scores, refs_of
from benchmark.selection.tolerance import near_tie

Judge = Callable[[Method, Case], Attempt]
"""Scores a method on a case by the metric of the race; asked only for crops that are raced on."""


@dataclass(frozen=True, slots=True)
class RaceRules:
    """When a network stops.

    Attributes
    ----------
    first, step
        Crops before the first look, and between looks.
    errors
        Out: the gap to the leader exceeds so many standard errors of the paired differences.
    tie_errors
        The race ends when all that are left lag by less than a near-tie, with so many standard errors.
    """

    first: int = 8
    step: int = 4
    errors: float = 3.0
    tie_errors: float = 2.0


@dataclass(frozen=True, slots=True)
class Left:
    """A network out of the race after so many crops, that far behind the leader of then."""

    crops: int
    leader: str
    gap: float
    error: float


@dataclass(frozen=True)
class Course:
    """How a race went.

    Attributes
    ----------
    values
        Racer -> its scores, in the order of the race; one that left has fewer.
    left, failed
        Racers that stopped: too far behind, or without a finite score on the crop of this place.
    """

    crops: int = 0
    values: Mapping[str, list[float]] = field(default_factory=dict)
    left: Mapping[str, Left] = field(default_factory=dict)
    failed: Mapping[str, int] = field(default_factory=dict)

    @property
    def network_crops(self) -> int:
        """Runs of a network on a crop, failed ones included."""
        return sum(len(values) for values in self.values.values()) + len(self.failed)


def run(
    racers: Sequence[str],
    crops: int,
    score: Callable[[str, int], float | None],
    tolerance: Callable[[Sequence[float]], float],
    rules: RaceRules,
    higher_is_better: bool = True,
) -> Course:
    """Race to the end.

    Parameters
    ----------
    racers
        Names; their order decides nothing.
    crops
        How many there are.
    score
        Of a racer on the crop of a place in the order, asked for at most once; None if it failed.
    tolerance
        Near-tie, given the scores of the leader so far.
    """
    sign = 1.0 if higher_is_better else -1.0
    values: dict[str, list[float]] = {racer: [] for racer in sorted(racers)}
    left: dict[str, Left] = {}
    failed: dict[str, int] = {}
    running, count = list(values), 0
    while running and count < crops:
        goal = min(crops, count + (rules.step if count else rules.first))
        for racer in running:
            for place in range(count, goal):
                value = score(racer, place)
                if value is None:
                    failed[racer] = place
                    break
                values[racer].append(value)
        count = goal
        running = [racer for racer in running if racer not in failed]
        if not running:
            break
        table = sign * np.array([values[racer] for racer in running], dtype=np.float64)
        gaps, errors = _behind(table, crops)
        leader = running[int(np.argmin(gaps))]
        limit = tolerance(values[leader])
        for racer, gap, error in zip(running, gaps, errors, strict=True):
            if gap > rules.errors * error:
                left[racer] = Left(count, leader, float(gap), float(error))
        kept = np.array([racer not in left for racer in running])
        running = [racer for racer in running if racer not in left]
        if (gaps[kept] + rules.tie_errors * errors[kept] < limit).all():
            break
    return Course(count, values, left, failed)


def _behind(table: NDArray[np.float64], crops: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Gap of each racer [racer, crop] to the one of the highest mean, and its standard error."""
    count = table.shape[1]
    differences = table[int(np.argmax(table.mean(axis=1)))] - table
    gaps = differences.mean(axis=1)
    if count in (1, crops):
        # One crop gives no error; and after the last the gap is known, and judged by the ranking.
        return gaps, np.where(gaps > 0, np.inf, 0.0)
    return gaps, differences.std(axis=1, ddof=1) * np.sqrt((1 - count / crops) / count)


def in_order(cases: Sequence[Case], seed: int) -> tuple[Case, ...]:
    """Order cases by chance, one of each field in turn, whatever order they come in."""
    rng = np.random.default_rng(seed)
    fields: dict[str, list[Case]] = defaultdict(list)
    for case in sorted(cases, key=lambda each: (each.field, each.name)):
        fields[case.field].append(case)
    piles = [[cases[place] for place in rng.permutation(len(cases))] for cases in fields.values()]
    ordered: list[Case] = []
    while piles:
        for place in rng.permutation(len(piles)):
            ordered.append(piles[place].pop())
        piles = [pile for pile in piles if pile]
    return tuple(ordered)


_NOT_RUN = Attempt({}, 0.0)


def race(
    methods: Sequence[Method],
    cases: Sequence[Case],
    *,
    seed: int = 0,
    rules: RaceRules | None = None,
    metric: Metric | None = None,
    judge: Judge | None = None,
) -> Scores:
    """Score methods on as many cases as it takes to tell the best; an `Assess`.

    Parameters
    ----------
    judge
        By default one run of the method, held to the reference of the case.

    Returns
    -------
    Scores
        Of the cases that the last ones ran, in the order of the race. `Scores.left` says where and why a
        method left; it has no score (None) on later cases.

    Raises
    ------
    BenchmarkError
        Without cases, or if two methods bear the same name.
    """
    if not cases:
        raise BenchmarkError("expected cases to race on, found 0 cases; send images first")
    refs = refs_of(methods)
    named = dict(zip(refs, methods, strict=True))
    ordered = in_order(cases, seed)
    chosen = metric or default_metric(ordered[0].reference)
    references = [case.reference for case in ordered]
    attempts: dict[str, list[Attempt]] = {key: [] for key in named}
    judged = judge or partial(attempt, metrics=(chosen,), clock=time.perf_counter)

    def score(key: str, place: int) -> float | None:
        made = judged(named[key], ordered[place])
        attempts[key].append(made)
        return made.scores[chosen]

    def tolerance(leading: Sequence[float]) -> float:
        return near_tie(chosen, references[: len(leading)], leading)

    course = run(list(named), len(ordered), score, tolerance, rules or RaceRules(), chosen.higher_is_better)
    padded = {key: [*made, *((_NOT_RUN,) * (course.crops - len(made)))] for key, made in attempts.items()}
    shown = [Shown(case.field, case.name, case.input.size) for case in ordered[: course.crops]]
    return scores_of(chosen, refs, padded, shown).model_copy(
        update={
            "left": {key: _told(left, chosen) for key, left in course.left.items()},
            "runs": {key: len(made) for key, made in attempts.items()},
        }
    )


def _told(left: Left, metric: Metric) -> str:
    places, unit = metric.decimals + 1, metric.unit
    gap, error = f"{left.gap:.{places}f} {unit}".strip(), f"{left.error:.{places}f} {unit}".strip()
    return f"left after {left.crops} crops: {gap} behind {left.leader} (standard error {error})"
