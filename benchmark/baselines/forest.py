"""A random forest for two classes (Breiman 2001), grown level by level on features cut into classes.

Own code, because scikit-learn would be a heavy dependency for one rival; its tests hold the splits against
an exhaustive search. See docs/decisions/0021-random-forest.md.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CLASSES = 64
"""Values that a feature is cut into, at its quantiles."""
_CHUNK = 1 << 15
"""Pixels whose codes fit into a processor's cache."""

Codes = NDArray[np.uint8]


@dataclass(frozen=True)
class Growth:
    """How trees grow: their number, the most splits above a leaf, and the fewest samples in it."""

    trees: int = 32
    depth: int = 12
    least_samples: int = 4


@dataclass(frozen=True, slots=True)
class Forest:
    """Trees of equal depth as heaps: node n has the children 2n + 1 and 2n + 2.

    Attributes
    ----------
    edges
        float32 [F, CLASSES - 1], ascending: what parts the classes of each feature.
    feature, at_most
        int16 and uint8 [T, N]: samples whose code of that feature is at most so large go left. A node that
        was not split sends all of them left.
    share
        float32 [T, 2N + 1]: share of the second class among the samples that reached a node.
    """

    edges: NDArray[np.float32]
    feature: NDArray[np.int16]
    at_most: Codes
    share: NDArray[np.float32]

    @property
    def depth(self) -> int:
        """Splits between root and leaf."""
        return int(np.log2(self.feature.shape[1] + 1))

    def codes(self, features: Iterable[NDArray[np.float32]]) -> Codes:
        """Cut F features, of one shape each, into their classes: uint8 [F, ...]."""
        return _cut(self.edges, features)

    def probability(self, codes: Codes, depth: int) -> NDArray[np.float32]:
        """Mean share of the second class in the nodes that samples reach, float32 [N] of codes [F, N].

        Parameters
        ----------
        depth
            Go down so many splits at most: the forest as it would have grown with this depth.
        """
        return self.probabilities(codes, (depth,))[depth]

    def probabilities(self, codes: Codes, depths: Sequence[int]) -> dict[int, NDArray[np.float32]]:
        """Give the `probability` at several depths, in one way down."""
        found = {depth: np.empty(codes.shape[1], dtype=np.float32) for depth in depths}
        for start in range(0, codes.shape[1], _CHUNK):
            chunk = np.ascontiguousarray(codes[:, start : start + _CHUNK])
            shares = self._shares(chunk, [min(depth, self.depth) for depth in depths])
            for depth, each in zip(depths, shares, strict=True):
                found[depth][start : start + _CHUNK] = each
        return found

    def _shares(self, codes: Codes, depths: Sequence[int]) -> NDArray[np.float32]:
        """Mean share at each depth, [depths, samples]."""
        samples = codes.shape[1]
        flat, columns = codes.ravel(), np.arange(samples)
        total = np.zeros((len(depths), samples), dtype=np.float32)
        for feature, at_most, share in zip(self.feature, self.at_most, self.share, strict=True):
            rows = feature.astype(np.int64) * samples
            node = np.zeros(samples, dtype=np.int64)
            for level in range(max(depths) + 1):
                for place, depth in enumerate(depths):
                    if depth == level:
                        total[place] += share[node]
                if level < max(depths):
                    node = 2 * node + 1 + (flat[rows[node] + columns] > at_most[node])
        return total / np.float32(len(self.share))


def grow(
    features: NDArray[np.float32], second: NDArray[np.bool_], growth: Growth, rng: np.random.Generator
) -> Forest:
    """Grow trees by Gini's impurity, each on a bootstrap of the samples.

    At every node the square root of the number of features is looked at, drawn anew.

    Parameters
    ----------
    features
        float32 [F, N].
    second
        bool [N], whether a sample is of the second class.
    rng
        Draws bootstraps and features.
    """
    shares = np.linspace(0, 1, CLASSES + 1)[1:-1]
    edges = np.quantile(features, shares, axis=1).T.astype(np.float32)
    codes = _cut(edges, features)
    feature, at_most, share = _empty(growth)
    for tree in range(growth.trees):
        weights = rng.multinomial(second.size, np.full(second.size, 1 / second.size)).astype(np.float64)
        feature[tree], at_most[tree], share[tree] = _tree(codes, second, weights, growth, rng)
    return Forest(edges, feature, at_most, share)


def _cut(edges: NDArray[np.float32], features: Iterable[NDArray[np.float32]]) -> Codes:
    cut = [
        np.searchsorted(each, values.ravel()).astype(np.uint8).reshape(values.shape)
        for each, values in zip(edges, features, strict=True)
    ]
    return np.stack(cut)


def _empty(growth: Growth) -> tuple[NDArray[np.int16], Codes, NDArray[np.float32]]:
    inner = 2**growth.depth - 1
    shape = (growth.trees, inner)
    return (
        np.zeros(shape, dtype=np.int16),
        np.full(shape, CLASSES, dtype=np.uint8),
        np.zeros((growth.trees, 2 * inner + 1), dtype=np.float32),
    )


def _tree(
    codes: Codes,
    second: NDArray[np.bool_],
    weights: NDArray[np.float64],
    growth: Growth,
    rng: np.random.Generator,
) -> tuple[NDArray[np.int16], Codes, NDArray[np.float32]]:
    feature, at_most, share = (each[0] for each in _empty(growth))
    node = np.zeros(second.size, dtype=np.int64)
    hits = weights * second
    looked_at = max(1, round(np.sqrt(len(codes))))
    for level in range(growth.depth + 1):
        first, nodes = 2**level - 1, 2**level
        place = node - first
        count = np.bincount(place, weights, nodes)
        positive = np.bincount(place, hits, nodes)
        here = np.divide(positive, count, out=np.full(nodes, np.nan), where=count > 0)
        # A node that nobody reached says what its parent says.
        above = share[(np.arange(first, first + nodes) - 1) // 2] if level else np.full(1, 0.5)
        share[first : first + nodes] = np.where(np.isnan(here), above, here)
        if level == growth.depth:
            break
        allowed = rng.random((nodes, len(codes))).argsort(axis=1) < looked_at
        # Pure nodes, and those too small for two leaves, stay whole.
        allowed &= ((count >= 2 * growth.least_samples) & (positive > 0) & (positive < count))[:, None]
        best, cut = _best_splits(codes, place, (weights, hits), allowed, growth.least_samples)
        feature[first : first + nodes], at_most[first : first + nodes] = best, cut
        node = 2 * node + 1 + (codes[best[place], np.arange(second.size)] > cut[place])
    return feature, at_most, share


def _best_splits(
    codes: Codes,
    place: NDArray[np.int64],
    weighted: tuple[NDArray[np.float64], NDArray[np.float64]],
    allowed: NDArray[np.bool_],
    least_samples: int,
) -> tuple[NDArray[np.int64], Codes]:
    """Find, for every node of a level, the feature and the class after which to part its samples."""
    gain = np.full(len(allowed), 1e-9)
    feature, cut = np.zeros(len(allowed), dtype=np.int64), np.full(len(allowed), CLASSES, dtype=np.uint8)
    for number, values in enumerate(codes):
        asked = np.flatnonzero(allowed[:, number])
        if not asked.size:
            continue
        rank = np.full(len(allowed), -1)
        rank[asked] = np.arange(asked.size)
        inside = rank[place]
        seen = np.flatnonzero(inside >= 0)
        key = inside[seen] * CLASSES + values[seen]
        left, positive = (
            np.bincount(key, each[seen], asked.size * CLASSES).reshape(asked.size, CLASSES).cumsum(axis=1)
            for each in weighted
        )
        purity = _purity(left, positive, least_samples)
        after = purity.argmax(axis=1)
        found = purity[np.arange(asked.size), after]
        better = found > gain[asked]
        nodes = asked[better]
        gain[nodes], feature[nodes], cut[nodes] = found[better], number, after[better]
    return feature, cut


def _purity(
    left: NDArray[np.float64], positive: NDArray[np.float64], least_samples: int
) -> NDArray[np.float64]:
    """Decrease of Gini's impurity times half the samples, by the last class on the left [nodes, CLASSES]."""
    whole, whole_positive = left[:, -1:], positive[:, -1:]
    right, right_positive = whole - left, whole_positive - positive

    decrease = _impurity(whole, whole_positive) - _impurity(left, positive) - _impurity(right, right_positive)
    enough = (left >= least_samples) & (right >= least_samples)
    return np.where(enough, decrease, 0.0)


def _impurity(count: NDArray[np.float64], hits: NDArray[np.float64]) -> NDArray[np.float64]:
    return hits - hits * hits / np.maximum(count, 1)
