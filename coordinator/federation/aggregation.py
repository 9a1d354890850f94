"""Joining updates into one: a bounded, weighted mean that does not depend on who answered first."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray

from coordinator.federation.fleet import Weights

_MOST_MEDIANS = 3.0
"""No site weighs more than this many times the median site."""


@dataclass(frozen=True, slots=True)
class Contribution:
    """An accepted update: how many examples it rests on, and how to get at it.

    `load` reads the float32 changes by key when they are needed, so that one update at a time is in
    memory; `shrink` (0 to 1] is applied to them.
    """

    examples: int
    load: Callable[[], Weights]
    shrink: float = 1.0


def shares(examples: Mapping[str, int]) -> dict[str, float]:
    """Share of each site in the mean: its examples, capped at three times the median; their sum is 1."""
    cap = _MOST_MEDIANS * median(examples.values())
    capped = {key: min(float(count), cap) for key, count in examples.items()}
    total = sum(sorted(capped.values()))
    return {key: count / total for key, count in capped.items()}


def aggregate(weights: Weights, contributions: Mapping[str, Contribution]) -> dict[str, NDArray[np.generic]]:
    """Add the weighted mean of all updates to the weights.

    Federated averaging (McMahan et al. 2017) of updates instead of weights. Sums are taken in
    float64 and in the order of the instruments' ids, so the result is the same to the bit in
    whatever order updates came.

    Parameters
    ----------
    weights
        Those that were sent out.
    contributions
        By instrument id; at least one, each examined before.

    Returns
    -------
    dict
        New weights with the keys, shapes and dtypes of `weights`.
    """
    share = shares({key: contribution.examples for key, contribution in contributions.items()})
    mean = {key: np.zeros(array.shape, np.float64) for key, array in weights.items()}
    for instrument_id in sorted(contributions):
        contribution = contributions[instrument_id]
        factor = share[instrument_id] * contribution.shrink
        update = contribution.load()
        for key, total in mean.items():
            total += factor * update[key].astype(np.float64)
    return merge(weights, mean)


def merge(weights: Weights, delta: Weights) -> dict[str, NDArray[np.generic]]:
    """Add changes to weights; whatever was an integer counter stays one."""
    return {key: _restored(array + delta[key].astype(np.float64), array) for key, array in weights.items()}


def _restored(values: NDArray[np.float64], like: NDArray[np.generic]) -> NDArray[np.generic]:
    exact = np.rint(values) if np.issubdtype(like.dtype, np.integer) else values
    # numpy turns sums of zero-dimensional arrays into scalars.
    return np.asarray(exact).astype(like.dtype)
