"""How two label images share the pixels: the table from which partitions and objects are compared."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def contingency(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.float64]:
    """Count the pixels of every pair of labels.

    Parameters
    ----------
    a, b
        Labels [Y, X], whole numbers >= 0 of any dtype.

    Returns
    -------
    float64 [largest label of a + 1, largest label of b + 1]; 0 is background and has its row and column.
    """
    if a.shape != b.shape:
        raise ValueError(f"expected two label images of one shape, found {a.shape} and {b.shape}")
    rows, columns = np.asarray(a).astype(np.int64).ravel(), np.asarray(b).astype(np.int64).ravel()
    height, width = (int(labels.max(initial=0)) + 1 for labels in (rows, columns))
    counts = np.bincount(rows * width + columns, minlength=height * width)
    return counts.reshape(height, width).astype(np.float64)
