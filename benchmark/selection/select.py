"""Assess every eligible network on the same crops of the tuning images."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from benchmark.cases import Case
from benchmark.errors import BenchmarkError
from benchmark.method import Method
from benchmark.scores import Scores, method_key
from benchmark.selection.fit import Pace, fit_to_instrument
from benchmark.selection.race import race
from benchmark.selection.ranking import Cost, Selection, rank
from benchmark.selection.tolerance import near_tie

Assess = Callable[[Sequence[Method], Sequence[Case]], Scores]
"""How the scores are come by: `evaluate` runs every network on every crop, a `race` fewer."""


@dataclass(frozen=True)
class Contender:
    """A network that could serve the instrument, and what it costs per input pixel."""

    method: Method
    flops_per_pixel: int


def select(
    contenders: Sequence[Contender],
    cases: Sequence[Case],
    *,
    seed: int = 0,
    assess: Assess | None = None,
    pace: Pace | None = None,
) -> Selection:
    """Choose the network to start from.

    Parameters
    ----------
    contenders
        Networks of the instrument's task.
    cases
        Crops of the instrument's tuning images (`pairs.pair_cases`), the same for all.
    seed
        Of the order of crops and of the intervals.
    assess
        By default a race.
    pace
        What the network has to keep up with; None if that is no matter.

    Raises
    ------
    BenchmarkError
        Without contenders, without cases, or if no network gives a finite score on every case.
    """
    if not contenders:
        raise BenchmarkError("expected at least one network for the task, found none in the library")
    assess = assess or partial(race, seed=seed)
    scores = assess([contender.method for contender in contenders], cases)
    costs = {method_key(contender.method.ref): contender.flops_per_pixel for contender in contenders}
    ranked = rank(scores, costs, seed=seed)
    limit = _near_tie(scores, cases, ranked.ranking[0].key)
    if limit is not None:
        ranked = rank(scores, costs, seed=seed, near_tie=limit)
    selection = ranked.model_copy(update={"cost": _cost(scores, cases, costs)})
    return selection if pace is None else fitted(selection, pace)


def fitted(selection: Selection, pace: Pace) -> Selection:
    """Choose again among the ranked, so that the network keeps up with the instrument."""
    found = fit_to_instrument(
        [(one.key, one.score) for one in selection.ranking],
        selection.best.key,
        pace,
        higher_is_better=selection.metric.higher_is_better,
    )
    others = [one.key for one in selection.ranking if one.key != found.chosen]
    return selection.model_copy(
        update={
            "winner": found.chosen,
            "second": others[0] if others else None,
            "fit": found,
            "reason": f"{selection.reason}; {found.reason}",
        }
    )


def _near_tie(scores: Scores, cases: Sequence[Case], best: str) -> float | None:
    """Near-tie on the cases that were run; None where the assessment made cases of its own."""
    references = {case.name: case.reference for case in cases}
    leading = [value for value in scores.values[best] if value is not None]
    if not set(scores.names) <= set(references) or len(leading) < len(scores.names):
        return None
    return near_tie(scores.metric, [references[name] for name in scores.names], leading)


def _cost(scores: Scores, cases: Sequence[Case], flops_per_pixel: dict[str, int]) -> Cost | None:
    pixels = {case.name: case.input.size for case in cases}
    if not set(scores.names) <= set(pixels):
        return None
    ran = {key: scores.runs.get(key, len(scores.names)) for key in scores.values}
    return Cost(
        network_crops=sum(ran.values()),
        of_network_crops=len(cases) * len(flops_per_pixel),
        flops=sum(
            flops_per_pixel[key] * sum(pixels[name] for name in scores.names[:count])
            for key, count in ran.items()
        ),
        of_flops=sum(flops_per_pixel.values()) * sum(pixels.values()),
    )
