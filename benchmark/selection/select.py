"""Assess every eligible network on the same crops of the tuning images."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmark.cases import Case
from benchmark.errors import BenchmarkError
from benchmark.evaluate import evaluate
from benchmark.method import Method
from benchmark.scores import Scores, method_key
from benchmark.selection.ranking import Selection, rank

Assess = Callable[[Sequence[Method], Sequence[Case]], Scores]
"""How the scores are come by. `evaluate` runs every network on every crop; a race may spend less."""


@dataclass(frozen=True)
class Contender:
    """A network that could serve the instrument, and what it costs per input pixel."""

    method: Method
    flops_per_pixel: int


def select(
    contenders: Sequence[Contender], cases: Sequence[Case], *, seed: int = 0, assess: Assess = evaluate
) -> Selection:
    """Choose the network to start from.

    Parameters
    ----------
    contenders
        Networks of the instrument's task.
    cases
        Crops of the instrument's tuning images (`repeat_cases`), the same for all.
    seed
        Of the intervals.

    Raises
    ------
    BenchmarkError
        Without contenders, without cases, or if no network gives a finite score on every case.
    """
    if not contenders:
        raise BenchmarkError("expected at least one network for the task, found none in the library")
    scores = assess([contender.method for contender in contenders], cases)
    costs = {method_key(contender.method.ref): contender.flops_per_pixel for contender in contenders}
    return rank(scores, costs, seed=seed)
