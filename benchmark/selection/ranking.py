"""From scores to a ranking with intervals: a pure decision, however the scores were come by."""

from collections.abc import Mapping

from pydantic import Field

from benchmark.compare import Comparison, compare
from benchmark.errors import BenchmarkError
from benchmark.metrics import Metric
from benchmark.scores import Scores
from model_library.wire.base import Message
from model_library.wire.methods import MethodRef

TIE_LIMIT = {"dB": 0.1, "": 0.002}
"""Largest gap, by the metric's unit, that may be called a tie: beyond it, few fields decide by the mean."""


class Ranked(Message):
    """One network in the ranking.

    Attributes
    ----------
    score
        Mean over fields of view.
    behind_best
        This network minus the one of the highest mean, paired; None for that one itself, or where
        there are too few fields for an interval.
    tied
        Whether it cannot be told from the one of the highest mean: an interval that holds 0, and a
        gap of at most `TIE_LIMIT`.
    """

    key: str
    ref: MethodRef
    score: float
    behind_best: Comparison | None = None
    tied: bool
    flops_per_pixel: int = Field(ge=0)
    seconds: float = Field(ge=0)


class Selection(Message):
    """Which network an instrument starts from, with the whole record of how it was chosen.

    Attributes
    ----------
    ranking
        Best mean first.
    winner
        The cheapest (FLOPs) of those tied with the best.
    second
        The best of the others, if any.
    excluded
        Network -> why it could not be ranked.
    scores
        The full record: fields, crops and the score of each network on each.
    """

    ranking: tuple[Ranked, ...] = Field(min_length=1)
    winner: str
    second: str | None
    reason: str
    excluded: dict[str, str]
    metric: Metric
    scores: Scores
    seed: int


def rank(scores: Scores, flops_per_pixel: Mapping[str, int], *, seed: int = 0) -> Selection:
    """Rank networks by their mean score over fields and choose the winner.

    Raises
    ------
    BenchmarkError
        If no network has a finite score on every case.
    """
    sign = 1 if scores.metric.higher_is_better else -1
    whole = {key: fields for key in scores.values if (fields := scores.complete(key))}
    excluded = {key: scores.failures.get(key, "no score") for key in scores.values if key not in whole}
    if not whole:
        found = "; ".join(f"{key}: {why}" for key, why in sorted(excluded.items()))
        raise BenchmarkError(
            f"expected a network with a finite score on every image, found {found or 'none'}"
        )
    means = {key: sum(fields.values()) / len(fields) for key, fields in whole.items()}
    order = sorted(whole, key=lambda key: (-sign * means[key], flops_per_pixel[key], key))
    best = order[0]
    ranking = []
    for key in order:
        behind = compare(whole[key], whole[best], seed=seed) if key != best and len(whole[best]) > 1 else None
        ranking.append(
            Ranked(
                key=key,
                ref=scores.refs[key],
                score=means[key],
                behind_best=behind,
                tied=key == best or _tied(behind, scores.metric),
                flops_per_pixel=flops_per_pixel[key],
                seconds=scores.seconds.get(key, 0.0),
            )
        )
    winner = min((one for one in ranking if one.tied), key=lambda one: one.flops_per_pixel)
    others = [one for one in ranking if one is not winner]
    return Selection(
        ranking=tuple(ranking),
        winner=winner.key,
        second=others[0].key if others else None,
        reason=_reason(winner, ranking, scores),
        excluded=excluded,
        metric=scores.metric,
        scores=scores,
        seed=seed,
    )


def _tied(behind: Comparison | None, metric: Metric) -> bool:
    if behind is None:
        return False
    return behind.ci95[0] <= 0 <= behind.ci95[1] and abs(behind.difference) <= TIE_LIMIT[metric.unit]


def _reason(winner: Ranked, ranking: list[Ranked], scores: Scores) -> str:
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
    low, high = runner_up.behind_best.ci95
    return (
        f"{winner.key} has the highest mean ({figure} over {fields} fields); {runner_up.key} is at"
        f" {runner_up.behind_best.difference:+.{places}f} {unit} [{low:+.{places}f}, {high:+.{places}f}]"
    )
