"""Aggregation that bears some lying sites: by rank for each weight, or by distance between updates.

Neither streams: every update is needed at hand. In memory that is a float32 copy of the network per
update; from files that read their arrays one by one, the largest array times the number of updates.
"""

from collections.abc import Sequence
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
from coordinator.federation.averaging import WeightedSum
from coordinator.federation.fleet import Weights
from coordinator.settings.algorithms import Median, MultiKrum, TrimmedMean, fewest_updates


class _Collecting:
    """Keeps a hold on every update until the end."""

    def start(self, network: Weights, state: State) -> None:  # noqa: ARG002
        """See `Aggregation`; there is no state."""
        self._network = network
        self._updates: list[Update] = []

    def add(self, update: Update) -> None:
        """See `Aggregation`."""
        self._updates.append(update)


class Ranked(_Collecting):
    """Trimmed mean and median of each weight; every site counts the same."""

    def __init__(self, algorithm: TrimmedMean | Median) -> None:
        self._algorithm = algorithm

    def finish(self) -> Aggregated:
        """See `Aggregation`."""
        if not self._updates:
            raise TooFewUpdates("expected at least one update to join, found none; wait for the sites")
        changed = self._updates[0].changes.keys()
        network = {
            key: merged(array, self._centre(key, array.shape)) if key in changed else array
            for key, array in self._network.items()
        }
        return Aggregated(network)

    def copies(self, updates: int) -> float:
        """See `Aggregation`: the updates themselves, the network, its change and the result."""
        return updates + 4.0

    def _centre(self, key: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
        centre = np.empty(shape, np.float64)
        flat, size = centre.reshape(-1), max(1, BLOCK // len(self._updates))
        arrays = [each.changes[key].reshape(-1) for each in self._updates]
        for first in range(0, flat.size, size):
            block = slice(first, min(first + size, flat.size))
            flat[block] = self._of_each(_stacked(self._updates, arrays, block))
        return centre

    def _of_each(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Reduce [updates, weights] to [weights]."""
        if isinstance(self._algorithm, Median):
            return np.asarray(np.median(values, axis=0))
        cut = int(self._algorithm.cut * len(values))
        kept = np.partition(values, (cut, len(values) - cut - 1), axis=0)[cut : len(values) - cut]
        # Summed in sorted order: a partition leaves the order within its parts to chance.
        return np.asarray(np.sort(kept, axis=0).mean(axis=0))


class Krum(_Collecting):
    """MultiKrum: the weighted mean of the updates that have their neighbours nearest."""

    def __init__(self, algorithm: MultiKrum) -> None:
        self._algorithm = algorithm

    def finish(self) -> Aggregated:
        """See `Aggregation`."""
        found, needed = len(self._updates), fewest_updates(self._algorithm)
        if found < needed:
            raise TooFewUpdates(
                f"expected at least {needed} updates for MultiKrum with {self._algorithm.byzantine} lying "
                f"sites (n > 2 f + 2), found {found}; raise the quorum or lower `byzantine`"
            )
        total = WeightedSum()
        for place in self.chosen():
            total.add(self._updates[place])
        return Aggregated(total.added_to(self._network))

    def chosen(self) -> tuple[int, ...]:
        """Places of the updates that count, in the order of adding."""
        distances = squared_distances(self._updates)
        nearest = max(1, len(distances) - self._algorithm.byzantine - 2)
        # Of each row the distance to itself, 0, is the first.
        scores = np.sort(distances, axis=1)[:, 1 : nearest + 1].sum(axis=1)
        keep = self._algorithm.keep or len(distances) - self._algorithm.byzantine
        return tuple(sorted(int(place) for place in np.argsort(scores, kind="stable")[:keep]))

    def copies(self, updates: int) -> float:
        """See `Aggregation`: the updates themselves, the network, the sum and the result."""
        return updates + 4.0


def squared_distances(updates: Sequence[Update]) -> NDArray[np.float64]:
    """Squared Euclidean distances between updates, [updates, updates], in float64.

    Each block is centred first: the differences of large, similar numbers keep their digits.
    """
    count = len(updates)
    gram = np.zeros((count, count))
    for key in updates[0].changes:
        arrays = [each.changes[key].reshape(-1) for each in updates]
        for block in blocks(arrays[0].size):
            values = _stacked(updates, arrays, block)
            values -= values.mean(axis=0)
            gram += values @ values.T
    norms = np.diag(gram)
    distances = np.maximum(norms[:, None] + norms[None, :] - 2 * gram, 0.0)
    np.fill_diagonal(distances, 0.0)
    return distances


def _stacked(updates: Sequence[Update], arrays: Sequence[NDArray[Any]], block: slice) -> NDArray[np.float64]:
    values = np.stack([array[block] for array in arrays]).astype(np.float64)
    values *= np.array([each.shrink for each in updates])[:, None]
    return values
