"""Joining updates into a network: the port, with an implementation per kind of arithmetic.

Federated arithmetic on updates (differences), not on weights. Every sum is in float64 and in the
order in which updates are added, so the same order gives the same bits.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from coordinator.errors import CoordinatorError
from coordinator.federation.fleet import Weights

State: TypeAlias = Mapping[str, NDArray[Any]]
"""What a server optimiser remembers from round to round; empty for those that remember nothing."""

BLOCK = 1 << 14
"""Numbers that are worked on at once: as float64 they stay in a core's cache."""


class TooFewUpdates(CoordinatorError):
    """An algorithm cannot join so few updates."""

    code = "too_few_updates"


@dataclass(frozen=True, slots=True)
class Update:
    """An examined update.

    Attributes
    ----------
    changes
        What to add to each array, float32 by key; a mapping that reads its arrays when they are
        asked for keeps one array at a time in memory. Arrays of the network that it leaves out
        stay as they are; all updates of a round have the same keys.
    weight
        What it counts in a weighted mean; any positive scale.
    shrink
        Factor (0 to 1] that brings its norm within the bound.
    staleness
        Rounds that have ended since its site was asked.
    """

    changes: Weights
    weight: float = 1.0
    shrink: float = 1.0
    staleness: int = 0


@dataclass(frozen=True, slots=True)
class Aggregated:
    """The new network, with keys, shapes and dtypes of the old, and what to give to the next `start`."""

    network: dict[str, NDArray[Any]]
    state: dict[str, NDArray[Any]] = field(default_factory=dict)


class Aggregation(Protocol):
    """One round's joining; `start` again begins the next."""

    def start(self, network: Weights, state: State) -> None:
        """Begin with the network that was sent out, and the state after the round before."""
        ...

    def add(self, update: Update) -> None:
        """Take in an update; those that stream hold nothing of it afterwards."""
        ...

    def finish(self) -> Aggregated:
        """Join what was added.

        Raises
        ------
        TooFewUpdates
            None was added, or fewer than the algorithm needs.
        """
        ...

    def copies(self, updates: int) -> float:
        """Memory needed at most, in float32 copies of the network, that network included."""
        ...


def blocks(size: int, block: int = BLOCK) -> Iterator[slice]:
    """Cut a flat array into blocks that fit into a cache."""
    return (slice(first, min(first + block, size)) for first in range(0, size, block))


def merged(array: NDArray[Any], change: NDArray[np.float64]) -> NDArray[Any]:
    """Add a change (float64, overwritten) to an array; an integer counter is rounded and stays one."""
    change += array
    if np.issubdtype(array.dtype, np.integer):
        np.rint(change, out=change)
    return change.astype(array.dtype)


def merge(weights: Weights, delta: Weights, shrink: float = 1.0) -> dict[str, NDArray[Any]]:
    """Add changes, times `shrink`, to weights; arrays without a change stay as they are."""
    return {
        key: merged(array, np.asarray(shrink * np.asarray(delta[key], np.float64))) if key in delta else array
        for key, array in weights.items()
    }
