"""Mean-type aggregation: it streams, and holds one float64 sum however many updates come.

With the network of a round (one float32 copy), the sum (two) and one update, four copies are in
memory at most; fewer where updates read their arrays one by one.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coordinator.federation.aggregation import (
    BLOCK,
    Aggregated,
    State,
    TooFewUpdates,
    Update,
    blocks,
    merged,
)
from coordinator.federation.fleet import Weights
from coordinator.settings.algorithms import FedAdam, FedYogi

_FIRST, _SECOND, _STEPS = "first.", "second.", "steps"
_STEP_BLOCK = BLOCK // 8
"""Of the optimiser's formulas, which need several such blocks at once."""


@dataclass
class WeightedSum:
    """A sum of updates in float64, weighted; `weight` is what a mean divides it by.

    Updates in buffered rounds count less with their age, but are divided by as if they were fresh
    (Nguyen et al. 2022): a round of old updates makes a small step.
    """

    totals: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    weight: float = 0.0
    _scratch: NDArray[np.float64] = field(default_factory=lambda: np.empty(BLOCK))

    def add(self, update: Update) -> None:
        """Take in an update."""
        factor = update.weight * update.shrink / np.sqrt(1.0 + update.staleness)
        self.weight += update.weight
        for key in update.changes:
            changes = update.changes[key]
            total = self.totals.get(key)
            if total is None:
                total = self.totals[key] = np.zeros(changes.shape, np.float64)
            self._add(total.reshape(-1), changes.reshape(-1), factor)

    def added_to(self, network: Weights) -> dict[str, NDArray[Any]]:
        """Add the mean to a network, and forget it."""
        changed = set(self.totals)
        return {
            key: merged(array, self.pop(key)) if key in changed else array for key, array in network.items()
        }

    def pop(self, key: str) -> NDArray[np.float64]:
        """Take out the mean of an array, and forget it."""
        mean = self.totals.pop(key)
        mean /= self.weight
        return mean

    def _add(self, total: NDArray[np.float64], changes: NDArray[Any], factor: float) -> None:
        for block in blocks(total.size):
            scratch = self._scratch[: block.stop - block.start]
            scratch[...] = changes[block]
            scratch *= factor
            total[block] += scratch


class Mean:
    """The weighted mean of updates, added to the network (FedAvg and its kin)."""

    def start(self, network: Weights, state: State) -> None:  # noqa: ARG002
        """See `Aggregation`; there is no state."""
        self._network, self._sum = network, WeightedSum()

    def add(self, update: Update) -> None:
        """See `Aggregation`."""
        self._sum.add(update)

    def finish(self) -> Aggregated:
        """See `Aggregation`."""
        _refuse_none(self._sum)
        return Aggregated(self._sum.added_to(self._network))

    def copies(self, updates: int) -> float:  # noqa: ARG002
        """See `Aggregation`."""
        return 4.0


class ServerOptimised:
    """FedAdam and FedYogi (Reddi et al. 2021, algorithm 2; bias correction as in Flower 1.41).

    The state holds both moments of every array in float32, and the number of rounds. It is read and
    written array by array, so that a state which lies on disk stays there until it is needed.
    """

    def __init__(self, algorithm: FedAdam | FedYogi) -> None:
        self._algorithm = algorithm

    def start(self, network: Weights, state: State) -> None:
        """See `Aggregation`."""
        self._network, self._state, self._sum = network, state, WeightedSum()

    def add(self, update: Update) -> None:
        """See `Aggregation`."""
        self._sum.add(update)

    def finish(self) -> Aggregated:
        """See `Aggregation`."""
        _refuse_none(self._sum)
        steps = int(self._state[_STEPS]) + 1 if _STEPS in self._state else 1
        rate = self._rate(steps)
        state: dict[str, NDArray[Any]] = {_STEPS: np.array(steps, np.int64)}
        network = dict(self._network)
        # The largest first: while an array is worked on, its sum and its moments are both in memory.
        for key in sorted(self._sum.totals, key=lambda key: (-self._network[key].size, key)):
            network[key], state[_FIRST + key], state[_SECOND + key] = self._moved(key, rate)
        return Aggregated(network, state)

    def copies(self, updates: int) -> float:  # noqa: ARG002
        """See `Aggregation`: both new moments take the place of the sum, but for one array at a time."""
        return 5.0

    def _moved(self, key: str, rate: float) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Return an array after the step, and its moments; nothing else of it stays in memory."""
        array = self._network[key]
        first, second = self._moment(_FIRST + key, array.shape), self._moment(_SECOND + key, array.shape)
        mean = self._sum.pop(key)
        self._step(mean.reshape(-1), first.reshape(-1), second.reshape(-1), rate)
        return merged(array, mean), first, second

    def _moment(self, key: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
        return np.array(self._state[key], np.float32) if key in self._state else np.zeros(shape, np.float32)

    def _rate(self, steps: int) -> float:
        wanted = self._algorithm
        if isinstance(wanted, FedYogi):
            return wanted.rate
        return float(
            wanted.rate * np.sqrt(1 - wanted.beta_2 ** (steps + 1)) / (1 - wanted.beta_1 ** (steps + 1))
        )

    def _step(
        self,
        mean: NDArray[np.float64],
        first: NDArray[np.float32],
        second: NDArray[np.float32],
        rate: float,
    ) -> None:
        """Turn the mean update into the optimiser's, and move its moments, in place."""
        wanted = self._algorithm
        for block in blocks(mean.size, _STEP_BLOCK):
            delta = mean[block]
            square = np.square(delta)
            m = wanted.beta_1 * first[block].astype(np.float64) + (1 - wanted.beta_1) * delta
            v = second[block].astype(np.float64)
            if isinstance(wanted, FedYogi):
                v -= (1 - wanted.beta_2) * square * np.sign(v - square)
            else:
                v = wanted.beta_2 * v + (1 - wanted.beta_2) * square
            first[block], second[block] = m, v
            mean[block] = rate * m / (np.sqrt(v) + wanted.tau)


def _refuse_none(found: WeightedSum) -> None:
    if not found.totals or found.weight <= 0:
        raise TooFewUpdates("expected at least one update to join, found none; wait for the sites")
