"""Structural similarity."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

SIGMA_PX = 1.5
TRUNCATE = 3.5
RADIUS_PX = int(TRUNCATE * SIGMA_PX + 0.5)


def ssim(image: NDArray[Any], truth: NDArray[Any], data_range: float) -> float:
    """Mean structural similarity (Wang et al. 2004): Gaussian window of sigma 1.5 px, K1 0.01, K2 0.03.

    Parameters
    ----------
    image, truth
        Axes [Y, X], the same shape, at least 11 px a side.
    data_range
        Span of the truth's values, in the pixels' unit.
    """
    if image.shape != truth.shape or min(truth.shape) < 2 * RADIUS_PX + 1:
        raise ValueError(
            f"expected two images of one shape, 11 px a side or more, found {image.shape}, {truth.shape}"
        )
    x = np.asarray(image, dtype=np.float64)
    y = np.asarray(truth, dtype=np.float64)
    mean_x, mean_y = _window(x), _window(y)
    variance_x = _window(x * x) - mean_x * mean_x
    variance_y = _window(y * y) - mean_y * mean_y
    covariance = _window(x * y) - mean_x * mean_y
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    numerator = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    denominator = (mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2)
    inner = (slice(RADIUS_PX, -RADIUS_PX),) * 2
    return float(np.mean((numerator / denominator)[inner]))


def _window(pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(gaussian_filter(pixels, SIGMA_PX, truncate=TRUNCATE), dtype=np.float64)
