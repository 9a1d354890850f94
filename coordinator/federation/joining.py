"""A round's accepted updates, joined into the next network by the arithmetic that the plan names."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median

from coordinator.federation.aggregation import Aggregated, Aggregation, State, Update
from coordinator.federation.averaging import Mean, ServerOptimised
from coordinator.federation.fleet import Weights
from coordinator.federation.robust import Krum, Ranked
from coordinator.settings.algorithms import Algorithm, FedAvg

_MOST_MEDIANS = 3.0
"""No site weighs more than this many times the median site."""


def aggregation_of(algorithm: Algorithm) -> Aggregation:
    """Make the arithmetic of an algorithm."""
    match algorithm.kind:
        case "fedadam" | "fedyogi":
            return ServerOptimised(algorithm)
        case "trimmed_mean" | "median":
            return Ranked(algorithm)
        case "multi_krum":
            return Krum(algorithm)
        case _:
            return Mean()


@dataclass(frozen=True, slots=True)
class Contribution:
    """An accepted update: how many examples it rests on, and how to get at it.

    `load` opens the float32 changes by key when they are needed, so that one update at a time is in
    memory; `shrink` (0 to 1] is applied to them; `staleness` is as in `Update`.
    """

    examples: int
    load: Callable[[], Weights]
    shrink: float = 1.0
    staleness: int = 0


def shares(examples: Mapping[str, int]) -> dict[str, float]:
    """Share of each site in the mean: its examples, capped at three times the median; their sum is 1."""
    cap = _MOST_MEDIANS * median(examples.values())
    capped = {key: min(float(count), cap) for key, count in examples.items()}
    total = sum(sorted(capped.values()))
    return {key: count / total for key, count in capped.items()}


def aggregate(
    weights: Weights,
    contributions: Mapping[str, Contribution],
    algorithm: Algorithm | None = None,
    state: State | None = None,
) -> Aggregated:
    """Join the updates of a round, in the order of the instruments' ids whoever answered first.

    Parameters
    ----------
    weights
        Those that were sent out.
    contributions
        By instrument id; at least one, each examined before.
    algorithm
        FedAvg where None.
    state
        That of the round before; None before the first.

    Raises
    ------
    TooFewUpdates
        Fewer than the algorithm needs.
    """
    share = shares({key: contribution.examples for key, contribution in contributions.items()})
    aggregation = aggregation_of(algorithm or FedAvg())
    aggregation.start(weights, state or {})
    for key in sorted(contributions):
        one = contributions[key]
        aggregation.add(Update(one.load(), share[key], one.shrink, one.staleness))
    return aggregation.finish()
