"""Whether the best start is the best finish: leading networks are trained for a few steps and re-ranked."""

import time
from collections.abc import Callable, Sequence

from pydantic import Field

from benchmark.cases import Case
from benchmark.errors import BenchmarkError
from benchmark.evaluate import evaluate
from benchmark.metrics import Metric
from benchmark.networks import as_method
from benchmark.scores import Scores, method_key
from benchmark.selection.ranking import Selection, rank
from model_library.inference.weights import LoadedNetwork
from model_library.training.config import FitConfig
from model_library.training.fit import fit
from model_library.training.pairs import PairSource
from model_library.wire.base import Message
from model_library.wire.methods import MethodRef

WITHIN = {"dB": 0.5, "": 0.03}
"""Gap to the best start, by the metric's unit, that a few hundred steps of tuning have been seen to close."""

MOST_FINALISTS = 3
HELD_OUT_SHARE = 1 / 3


class Finalist(Message):
    """One network before and after the look ahead, scored on crops that neither saw."""

    key: str
    ref: MethodRef
    start: float
    ahead: float
    flops_per_pixel: int = Field(ge=0)


class LookAhead(Message):
    """The record of a look ahead.

    Attributes
    ----------
    finalists
        In the order after it.
    before, after
        Keys, best first, by the score at the start and by that after `steps` steps.
    winner
        The cheapest of those tied with the best, as in any selection; that by the starts where the time
        ran out.
    in_time
        Whether all were trained within the budget; otherwise the order of the starts stands, because one
        that depends on how fast a machine is would not come again.
    steps
        Of training, each.
    """

    finalists: tuple[Finalist, ...]
    before: tuple[str, ...]
    after: tuple[str, ...]
    winner: str
    in_time: bool
    steps: int = Field(ge=1)
    seconds: float
    metric: Metric
    seed: int
    reason: str


def finalists_of(selection: Selection, at_most: int = MOST_FINALISTS) -> tuple[str, ...]:
    """Name the networks worth a look ahead: those tied with the best or `WITHIN` of it; best first."""
    best = selection.ranking[0].score
    near = [
        one.key
        for one in selection.ranking
        if one.tied or abs(best - one.score) <= WITHIN.get(selection.metric.unit, 0.0)
    ]
    return tuple(near[:at_most])


def parted(fields: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Part fields of view into those to train on and those to score on, a third of them.

    Raises
    ------
    BenchmarkError
        There is only one field.
    """
    names = sorted(set(fields))
    if len(names) < 2:
        raise BenchmarkError(
            f"expected tuning images of two fields of view or more, found {len(names)}: one to train on, one"
            " to score on; send images of more fields"
        )
    held = max(1, round(HELD_OUT_SHARE * len(names)))
    return tuple(names[:-held]), tuple(names[-held:])


def look_ahead(
    starters: Sequence[LoadedNetwork],
    pairs: PairSource,
    held: Sequence[Case],
    config: FitConfig,
    *,
    ends: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = time.perf_counter,
) -> LookAhead:
    """Train each network for a few steps as it would be tuned, and rank what has become of them.

    The result is a function of the networks, the pairs, the cases, the configuration and the number of
    threads, unless the time runs out.

    Parameters
    ----------
    starters
        Left as they are.
    pairs
        What tuning would learn from, without the fields of `held`.
    held
        Cases of fields that are not trained on.
    config
        Of the tuning, with few steps.
    ends
        Whether the time for all of them together has run out; asked before each step.

    Raises
    ------
    BenchmarkError
        Without networks or cases, or none has a finite score.
    RecipeError
        A training failed, see `fit`.
    """
    if not starters:
        raise BenchmarkError("expected at least one network to look ahead with, found none")
    began = clock()
    costs = {_key(each): each.card.facts.flops_per_pixel for each in starters}
    start = evaluate([as_method(each) for each in starters], held)
    ahead: Scores | None = None
    trained: list[LoadedNetwork] = []

    for each in starters:
        result = fit(each.module.requires_grad_(True), pairs, config, stop=ends)
        each.module.requires_grad_(False)
        if len(result.losses) < config.steps:
            break
        trained.append(LoadedNetwork(each.card, result.module.requires_grad_(False).eval()))
    if len(trained) == len(starters):
        ahead = evaluate([as_method(each) for each in trained], held)
    before = rank(start, costs, seed=config.seed)
    after = before if ahead is None else rank(ahead, costs, seed=config.seed)
    return _record(before, after, config, clock() - began, in_time=ahead is not None)


def _record(
    before: Selection, after: Selection, config: FitConfig, seconds: float, *, in_time: bool
) -> LookAhead:
    started = {one.key: one.score for one in before.ranking}
    orders = [tuple(one.key for one in each.ranking) for each in (before, after)]
    return LookAhead(
        finalists=tuple(
            Finalist(
                key=one.key,
                ref=one.ref,
                start=started.get(one.key, one.score),
                ahead=one.score,
                flops_per_pixel=one.flops_per_pixel,
            )
            for one in after.ranking
        ),
        before=orders[0],
        after=orders[1],
        winner=after.winner,
        in_time=in_time,
        steps=config.steps,
        seconds=seconds,
        metric=before.metric,
        seed=config.seed,
        reason=_reason(before, after, config.steps, in_time=in_time),
    )


def _reason(before: Selection, after: Selection, steps: int, *, in_time: bool) -> str:
    if not in_time:
        return f"the time ran out before {steps} steps of all; the order of the starts stands"
    if before.winner == after.winner:
        return f"{after.winner} leads before and after {steps} steps"
    return f"{before.winner} starts best, but after {steps} steps {after.reason}"


def _key(network: LoadedNetwork) -> str:
    return method_key(as_method(network).ref)
