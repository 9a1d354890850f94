"""Whether borders lie where they belong, within a tolerance."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.errors import UnfitImages


def boundary_f(prediction: NDArray[Any], truth: NDArray[Any], tolerance_px: float = 2.0) -> float:
    """F of precision and recall over boundary pixels (Martin et al. 2004, Csurka et al. 2013).

    Precision is the share of the prediction's boundary pixels with one of the truth's within the
    tolerance, recall the same the other way round.

    Parameters
    ----------
    prediction, truth
        Labels or masks [Y, X], 0 for background; touching objects of different numbers have a boundary
        between them.
    tolerance_px
        Greatest Euclidean distance that still counts as agreement.

    Returns
    -------
    float
        1 where neither has a boundary, 0 where one of them has none.
    """
    if prediction.shape != truth.shape:
        raise UnfitImages(f"expected two label images of one shape, found {prediction.shape}, {truth.shape}")
    found, actual = boundaries(prediction), boundaries(truth)
    if not found.any() or not actual.any():
        return float(found.any() == actual.any())
    precision = _near(found, actual, tolerance_px)
    recall = _near(actual, found, tolerance_px)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def boundaries(labels: NDArray[Any]) -> NDArray[np.bool_]:
    """Pixels of objects with another label above, below, left or right of them; the image's edge is none."""
    edge = np.zeros(labels.shape, dtype=bool)
    across, down = labels[:, 1:] != labels[:, :-1], labels[1:] != labels[:-1]
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    edge[1:] |= down
    edge[:-1] |= down
    return np.asarray(edge & (labels != 0))


def _near(these: NDArray[np.bool_], those: NDArray[np.bool_], tolerance_px: float) -> float:
    from scipy.ndimage import distance_transform_edt

    away = np.asarray(distance_transform_edt(~those))
    return float(np.mean(away[these] <= tolerance_px))
