"""A paired race: networks see the same crops in the same order, and those that cannot win stop early.

Selection by racing as in Maron and Moore (1994), with standard errors of paired differences, see `lag`, in
place of Hoeffding's bound, and with a budget: what it does not tell apart is a tie.
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
from benchmark.selection.lag import lag
from benchmark.selection.race_rules import RaceRules
from benchmark.selection.tolerance import near_tie

Judge = Callable[[Method, Case], Attempt]
"""Scores a method on a case by the metric of the race; asked only for crops that are raced on."""


@dataclass(frozen=True, slots=True)
class Behind:
    """A network so far behind the leader of then, after so many crops."""

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
    tied
        Racers that could not be told from the leader, nor found to be near it, for what a race may cost.
    """

    crops: int = 0
    values: Mapping[str, list[float]] = field(default_factory=dict)
    left: Mapping[str, Behind] = field(default_factory=dict)
    failed: Mapping[str, int] = field(default_factory=dict)
    tied: Mapping[str, Behind] = field(default_factory=dict)

    @property
    def network_crops(self) -> int:
        """Runs of a network on a crop, failed ones included."""
        return sum(len(values) for values in self.values.values()) + len(self.failed)


def run(
    racers: Sequence[str],
    fields: Sequence[str],
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
    fields
        Field of view of each crop, in the order of the race.
    score
        Of a racer on the crop of a place in the order, asked for at most once; None if it failed.
    tolerance
        Near-tie, given the scores of the leader so far.
    """
    sign = 1.0 if higher_is_better else -1.0
    values: dict[str, list[float]] = {racer: [] for racer in sorted(racers)}
    left: dict[str, Behind] = {}
    failed: dict[str, int] = {}
    running, behind, crops = list(values), dict[str, Behind](), 0
    budget, waiting = rules.budget(len(values), len(fields)), rules.waits(len(values), fields)
    while running and crops < len(fields):
        spent = sum(map(len, values.values())) + len(failed)
        step = min((budget - spent) // len(running), rules.step if crops else rules.first)
        goal = min(len(fields), crops + step)
        if goal == crops:
            return Course(crops, values, left, failed, behind)
        for racer in running:
            for place in range(crops, goal):
                value = score(racer, place)
                if value is None:
                    failed[racer] = place
                    break
                values[racer].append(value)
        crops, running = goal, [racer for racer in running if racer not in failed]
        if not running or crops == len(fields):
            # After the last crop the gaps are known, and judged by the ranking.
            break
        leader, behind = _look({racer: sign * np.array(values[racer]) for racer in running}, fields)
        waiting = waiting and set(fields[:crops]) != set(fields)
        for rank, racer in enumerate(sorted(behind, key=lambda racer: behind[racer].gap), 2):
            errors = rules.early_errors if waiting and rank <= rules.leaders else rules.errors
            if behind[racer].gap > errors * behind[racer].error:
                left[racer] = behind[racer]
        behind = {racer: each for racer, each in behind.items() if racer not in left}
        running = [leader, *behind]
        limit = tolerance(values[leader])
        if all(each.gap + rules.tie_errors * each.error < limit for each in behind.values()):
            break
    return Course(crops, values, left, failed)


def _look(scores: Mapping[str, NDArray[np.float64]], fields: Sequence[str]) -> tuple[str, dict[str, Behind]]:
    """Name the leader, and tell how far the others are behind; higher scores are better."""
    table = np.array([*scores.values()])
    found = lag(table, fields)
    leader = [*scores][found.leader]
    told = zip(scores, found.gaps, found.errors, strict=True)
    return leader, {
        racer: Behind(table.shape[1], leader, float(gap), float(error))
        for racer, gap, error in told
        if racer != leader
    }


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
    rules = rules or RaceRules()
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

    fields = [case.field for case in ordered]
    course = run(list(named), fields, score, tolerance, rules, chosen.higher_is_better)
    padded = {key: [*made, *((_NOT_RUN,) * (course.crops - len(made)))] for key, made in attempts.items()}
    shown = [Shown(case.field, case.name, case.input.size) for case in ordered[: course.crops]]
    return scores_of(chosen, refs, padded, shown).model_copy(
        update={
            "left": {key: _left(each, chosen) for key, each in course.left.items()},
            "undecided": {key: _undecided(each, chosen, rules) for key, each in course.tied.items()},
            "runs": {key: len(made) for key, made in attempts.items()},
        }
    )


def _left(behind: Behind, metric: Metric) -> str:
    places, unit = metric.decimals + 1, metric.unit
    gap, error = f"{behind.gap:.{places}f} {unit}".strip(), f"{behind.error:.{places}f} {unit}".strip()
    return f"left after {behind.crops} crops: {gap} behind {behind.leader} (standard error {error})"


def _undecided(behind: Behind, metric: Metric, rules: RaceRules) -> str:
    places, width = metric.decimals + 2, rules.errors * behind.error
    sign = -1 if metric.higher_is_better else 1
    gap = f"{sign * behind.gap:+.{places}f} {metric.unit}".strip()
    low, high = (sign * behind.gap + side * width for side in (-1, 1))
    return (
        f"a tie with {behind.leader}: the race's budget was spent after {behind.crops} crops,"
        f" difference {gap} [{low:+.{places}f}, {high:+.{places}f}]"
    )
