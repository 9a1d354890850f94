"""From scores to a ranking with intervals: a pure decision, however the scores were come by."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from pydantic import Field

from benchmark.compare import Comparison, compare, mean_interval
from benchmark.errors import BenchmarkError
from benchmark.metrics import Metric
from benchmark.scores import Scores
from benchmark.selection.fit import InstrumentFit
from benchmark.selection.tolerance import NEAR_TIE
from model_library.wire.base import Message
from model_library.wire.methods import MethodRef


class Ranked(Message):
    """One network in the ranking.

    Attributes
    ----------
    score
        Mean over fields of view. For a network that left the race early, that of the best one plus its
        paired difference on the crops that it ran: its own mean would be one of other crops.
    ci95
        Of the mean over fields, on the crops that it ran; None for one field.
    behind_best
        This network minus the one of the highest mean, paired, on the crops that both ran; None for
        that one itself, or where there are too few fields for an interval.
    tied
        Whether it cannot be told from the one of the highest mean: an interval that holds 0, and a
        gap that is a near-tie.
    crops
        On how many it was scored.
    left
        Why it left the race early; None if it did not.
    """

    key: str
    ref: MethodRef
    score: float
    ci95: tuple[float, float] | None = None
    behind_best: Comparison | None = None
    tied: bool
    crops: int = Field(ge=1)
    left: str | None = None
    flops_per_pixel: int = Field(ge=0)
    seconds: float = Field(ge=0)


class Cost(Message):
    """What selection ran, and what running every network on every crop would have been."""

    network_crops: int
    of_network_crops: int
    flops: int
    of_flops: int


class Selection(Message):
    """Which network an instrument starts from, with the whole record of how it was chosen.

    Attributes
    ----------
    ranking
        Best mean first.
    winner
        The cheapest (FLOPs) of those tied with the best; with a `fit`, the one that it chose.
    second
        The best of the others, if any.
    excluded
        Network -> why it could not be ranked.
    scores
        The full record: fields, crops and the score of each network on each.
    near_tie
        Difference, in the metric's unit, that may be called a tie: beyond it, few fields decide by the
        mean.
    cost
        None where it is not known which crops were run.
    fit
        Quality against throughput, where that was asked for.
    """

    ranking: tuple[Ranked, ...] = Field(min_length=1)
    winner: str
    second: str | None
    reason: str
    excluded: dict[str, str]
    metric: Metric
    scores: Scores
    near_tie: float = Field(ge=0)
    cost: Cost | None = None
    fit: InstrumentFit | None = None
    seed: int

    @property
    def best(self) -> Ranked:
        """The network to choose by quality alone: the cheapest of those tied."""
        return min((one for one in self.ranking if one.tied), key=lambda one: one.flops_per_pixel)


def rank(
    scores: Scores, flops_per_pixel: Mapping[str, int], *, seed: int = 0, near_tie: float | None = None
) -> Selection:
    """Rank networks by their mean score over fields and choose the winner.

    Parameters
    ----------
    near_tie
        See `Selection`; by default that of the metric's unit.

    Raises
    ------
    BenchmarkError
        If no network has a finite score on every case.
    """
    sign = 1 if scores.metric.higher_is_better else -1
    whole = {key: fields for key in scores.values if (fields := scores.complete(key))}
    left = [key for key in scores.left if key not in whole and any(scores.paired(key, key))]
    excluded = {
        key: scores.failures.get(key, "no score")
        for key in scores.values
        if key not in whole and key not in left
    }
    if not whole:
        found = "; ".join(f"{key}: {why}" for key, why in sorted(excluded.items()))
        raise BenchmarkError(
            f"expected a network with a finite score on every image, found {found or 'none'}"
        )
    means = {key: _mean(fields) for key, fields in whole.items()}
    limit = NEAR_TIE.get(scores.metric.unit, 0.0) if near_tie is None else near_tie
    best = min(whole, key=lambda key: (-sign * means[key], flops_per_pixel[key], key))
    ranking = [
        _ranked(key, scores, best, limit=limit, flops=flops_per_pixel[key], seed=seed)
        for key in (*whole, *left)
    ]
    ranking.sort(key=lambda one: (one.key != best, -sign * one.score, one.flops_per_pixel, one.key))
    winner = min((one for one in ranking if one.tied), key=lambda one: one.flops_per_pixel)
    others = [one for one in ranking if one is not winner]
    return Selection(
        ranking=tuple(ranking),
        winner=winner.key,
        second=others[0].key if others else None,
        reason=_reason(winner, ranking, scores, limit),
        excluded=excluded,
        metric=scores.metric,
        scores=scores,
        near_tie=limit,
        seed=seed,
    )


def _ranked(key: str, scores: Scores, best: str, *, limit: float, flops: int, seed: int) -> Ranked:
    own, others = scores.paired(key, best)
    behind = compare(own, others, seed=seed) if key != best and len(own) > 1 else None
    whole = scores.complete(best) or {}
    difference = _mean(own) - _mean(others)
    left = scores.left.get(key)
    ran = [value for value in scores.values[key] if value is not None]
    tied = behind is not None and behind.ci95[0] <= 0 <= behind.ci95[1] and abs(difference) <= limit
    return Ranked(
        key=key,
        ref=scores.refs[key],
        score=_mean(whole) + difference,
        ci95=mean_interval(np.array(list(own.values())), seed=seed) if len(own) > 1 else None,
        behind_best=behind,
        tied=key == best or (tied and left is None),
        crops=len(ran),
        left=left,
        flops_per_pixel=flops,
        seconds=scores.seconds.get(key, 0.0),
    )


def _mean(fields: Mapping[str, float]) -> float:
    return sum(fields.values()) / len(fields)


def gap_in_words(behind: Comparison, metric: Metric, near_tie: float) -> str:
    """Write a difference and its interval with as many digits as a near-tie needs."""
    needed = 0 if near_tie <= 0 else math.ceil(-math.log10(near_tie))
    places = min(max(metric.decimals, needed), 6)
    low, high = behind.ci95
    gap = f"{behind.difference:+.{places}f} {metric.unit}".strip()
    return f"{gap} [{low:+.{places}f}, {high:+.{places}f}]"


def _reason(winner: Ranked, ranking: Sequence[Ranked], scores: Scores, near_tie: float) -> str:
    told = _told(winner, ranking, scores, near_tie)
    others = [one.key for one in ranking if one.left is None and one is not winner]
    if not scores.undecided or not others:
        return told
    by = "cost" if any(one.tied for one in ranking if one is not winner) else "the mean"
    return f"{told}; the race's budget was spent on a tie with {', '.join(others)}, decided by {by}"


def _told(winner: Ranked, ranking: Sequence[Ranked], scores: Scores, near_tie: float) -> str:
    places, unit = scores.metric.decimals, scores.metric.unit
    fields = len(set(scores.fields))
    ties = [one for one in ranking if one.tied and one is not winner]
    figure = f"{winner.score:.{places}f} {unit}".strip()
    if ties:
        others = ", ".join(one.key for one in ties)
        return (
            f"{winner.key} ({figure} over {fields} fields) cannot be told from {others}"
            f" and costs least ({winner.flops_per_pixel} FLOPs per pixel)"
        )
    if len(ranking) == 1:
        return f"{winner.key} ({figure} over {fields} fields) is the only network for the task"
    runner_up = ranking[1]
    if runner_up.behind_best is None:
        return f"{winner.key} has the highest mean ({figure}); one field of view allows no interval"
    gap = gap_in_words(runner_up.behind_best, scores.metric, near_tie)
    return f"{winner.key} has the highest mean ({figure} over {fields} fields); {runner_up.key} is at {gap}"
