"""Overlap of segmentations."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def dice(prediction: NDArray[Any], truth: NDArray[Any]) -> float:
    """Dice coefficient of two masks [Y, X] (non-zero = inside); 1 where both are empty."""
    shared, total = _areas(prediction, truth)
    return 2 * shared / total if total else 1.0


def iou(prediction: NDArray[Any], truth: NDArray[Any]) -> float:
    """Intersection over union of two masks [Y, X] (non-zero = inside); 1 where both are empty."""
    shared, total = _areas(prediction, truth)
    return shared / (total - shared) if total else 1.0


def _areas(prediction: NDArray[Any], truth: NDArray[Any]) -> tuple[int, int]:
    """Pixels in both masks, and the pixels of each added up."""
    if prediction.shape != truth.shape:
        raise ValueError(f"expected two masks of one shape, found {prediction.shape} and {truth.shape}")
    a, b = np.asarray(prediction, dtype=bool), np.asarray(truth, dtype=bool)
    return int(np.logical_and(a, b).sum()), int(a.sum()) + int(b.sum())
