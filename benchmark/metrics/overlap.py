"""Overlap of segmentations."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.errors import UnfitImages


def dice(prediction: NDArray[Any], truth: NDArray[Any]) -> float:
    """Dice coefficient of two masks [Y, X] (non-zero = inside); 1 where both are empty."""
    shared, total = _areas(prediction, truth)
    return 2 * shared / total if total else 1.0


def iou(prediction: NDArray[Any], truth: NDArray[Any]) -> float:
    """Intersection over union of two masks [Y, X] (non-zero = inside); 1 where both are empty."""
    shared, total = _areas(prediction, truth)
    return shared / (total - shared) if total else 1.0


def dice_per_class(prediction: NDArray[Any], truth: NDArray[Any], classes: int) -> tuple[float, ...]:
    """Dice coefficient of every class of two class images [Y, X], numbered from 0; 1 where both lack it."""
    return tuple(dice(prediction == number, truth == number) for number in range(classes))


def iou_per_class(prediction: NDArray[Any], truth: NDArray[Any], classes: int) -> tuple[float, ...]:
    """Intersection over union of every class of two class images [Y, X]; 1 where both lack it."""
    return tuple(iou(prediction == number, truth == number) for number in range(classes))


def _areas(prediction: NDArray[Any], truth: NDArray[Any]) -> tuple[int, int]:
    """Pixels in both masks, and the pixels of each added up."""
    if prediction.shape != truth.shape:
        raise UnfitImages(f"expected two masks of one shape, found {prediction.shape} and {truth.shape}")
    a, b = np.asarray(prediction, dtype=bool), np.asarray(truth, dtype=bool)
    return int(np.count_nonzero(a & b)), int(np.count_nonzero(a)) + int(np.count_nonzero(b))
