"""Comparison of partitions of an image, as connectomics needs it: every cell of its own number."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.metrics.contingency import Contingency, contingency


def rand_foreground(segments: NDArray[Any], truth: NDArray[Any]) -> float:
    """Foreground-restricted Rand score: the F of precision and recall over pairs of pixels.

    The score of the ISBI 2012 challenge (Arganda-Carreras et al. 2015, doi:10.3389/fnana.2015.00142);
    one minus scikit-image's `adapted_rand_error`.

    Parameters
    ----------
    segments
        Labels [Y, X] of the proposal. Borders are to be thinned before, so that cells touch: a label 0 counts
        as one segment like any other.
    truth
        Labels [Y, X]; pixels of label 0 (membrane) are left out.

    Returns
    -------
    float
        1 for equal partitions; 1 where the truth has no pair of pixels to judge by.
    """
    table = _judged(segments, truth)
    together, by_truth, by_segment = (_pairs(count) for count in (table.pixels, table.areas_a, table.areas_b))
    total = by_truth + by_segment
    return float(2 * together / total) if total > 0 else 1.0


def adapted_rand_error(segments: NDArray[Any], truth: NDArray[Any]) -> float:
    """1 - the F of precision and recall over pairs of pixels, the truth's background left out."""
    return 1 - rand_foreground(segments, truth)


def variation_of_information(segments: NDArray[Any], truth: NDArray[Any]) -> tuple[float, float]:
    """Information lost by false splits, H(segments | truth), and by false mergers, H(truth | segments).

    Meila 2007; in bits. Pixels of label 0 in the truth are left out.
    """
    table = _judged(segments, truth)
    total = int(table.pixels.sum())
    if total == 0:
        return 0.0, 0.0
    both = _entropy(table.pixels / total)
    return both - _entropy(table.areas_a / total), both - _entropy(table.areas_b / total)


def _judged(segments: NDArray[Any], truth: NDArray[Any]) -> Contingency:
    table = contingency(truth, segments)
    return table.where(table.a > 0)


def _pairs(counts: NDArray[np.int64]) -> float:
    pixels = counts.astype(np.float64)
    return float(np.sum(pixels * (pixels - 1)))


def _entropy(shares: NDArray[np.float64]) -> float:
    positive = shares[shares > 0]
    return float(-np.sum(positive * np.log2(positive)))
