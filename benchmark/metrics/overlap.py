"""Overlap of segmentations."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def dice(prediction: NDArray[Any], truth: NDArray[Any]) -> float:
    """Dice coefficient of two masks [Y, X] (non-zero = inside); 1 where both are empty."""
    if prediction.shape != truth.shape:
        raise ValueError(f"expected two masks of one shape, found {prediction.shape} and {truth.shape}")
    a, b = np.asarray(prediction, dtype=bool), np.asarray(truth, dtype=bool)
    total = int(a.sum()) + int(b.sum())
    return 2 * int(np.logical_and(a, b).sum()) / total if total else 1.0
