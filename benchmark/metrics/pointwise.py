"""Metrics that compare pixel by pixel. All arrays [Y, X], any real dtype, in the same unit."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[Any]


def psnr(image: Pixels, truth: Pixels, data_range: float) -> float:
    """Peak signal-to-noise ratio in dB for a stated data range (in the pixels' unit); infinite if equal."""
    return ratio_db(_mean_squared_error(image, truth), data_range)


def psnr_affine(image: Pixels, truth: Pixels, data_range: float) -> float:
    """PSNR after the best scale and shift of `image`, so blind to a wrong grey scale.

    As CSBDeep (Weigert et al. 2018) and CARE-type papers report it.
    """
    gain, offset = affine_fit(image, truth)
    return psnr(gain * np.asarray(image, dtype=np.float64) + offset, truth, data_range)


def nrmse(image: Pixels, truth: Pixels) -> float:
    """Root mean squared error over the root mean square of the truth (the "euclidean" one)."""
    power = float(np.mean(np.square(np.asarray(truth, dtype=np.float64))))
    error = _mean_squared_error(image, truth)
    return math.sqrt(error / power) if power > 0 else math.nan


def affine_fit(image: Pixels, truth: Pixels) -> tuple[float, float]:
    """Gain and offset that bring `image` closest to `truth` in the least-squares sense."""
    x = np.asarray(image, dtype=np.float64)
    y = np.asarray(truth, dtype=np.float64)
    variance = float(x.var())
    gain = float(np.mean((x - x.mean()) * (y - y.mean()))) / variance if variance > 0 else 0.0
    return gain, float(y.mean() - gain * x.mean())


def ratio_db(squared_error: float, data_range: float) -> float:
    """Express a mean squared error in dB below the squared data range; NaN where that has no meaning."""
    if not squared_error >= 0 or not data_range > 0:
        return math.nan
    return 10 * math.log10(data_range**2 / squared_error) if squared_error > 0 else math.inf


def _mean_squared_error(image: Pixels, truth: Pixels) -> float:
    if image.shape != truth.shape:
        raise ValueError(f"expected two images of one shape, found {image.shape} and {truth.shape}")
    return float(
        np.mean(np.square(np.asarray(image, dtype=np.float64) - np.asarray(truth, dtype=np.float64)))
    )
