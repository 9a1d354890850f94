"""Metrics that compare pixel by pixel. All arrays [Y, X], any real dtype, in the same unit."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.errors import UnfitImages

Pixels = NDArray[Any]
_PERCENTILES = (3.0, 99.8)


def psnr(image: Pixels, truth: Pixels, data_range: float) -> float:
    """Peak signal-to-noise ratio in dB for a stated data range (in the pixels' unit); infinite if equal."""
    return ratio_db(_mean_squared_error(image, truth), data_range)


def psnr_affine(image: Pixels, truth: Pixels, data_range: float) -> float:
    """PSNR after the best scale and shift of `image`, so blind to a wrong grey scale.

    As CSBDeep (Weigert et al. 2018) and CARE-type papers report it.
    """
    return psnr(fitted(image, truth), truth, data_range)


def nrmse(image: Pixels, truth: Pixels) -> float:
    """Root mean squared error over the root mean square of the truth (the "euclidean" one)."""
    power = float(np.mean(np.square(np.asarray(truth, dtype=np.float64))))
    error = _mean_squared_error(image, truth)
    return math.sqrt(error / power) if power > 0 else math.nan


def nrmse_affine(image: Pixels, truth: Pixels) -> float:
    """NRMSE after the best scale and shift of `image`."""
    return nrmse(fitted(image, truth), truth)


def percentile_range(truth: Pixels) -> float:
    """Span from the 3rd to the 99.8th percentile, in the pixels' unit: a data range without outliers.

    PSNR and SSIM with it are what CSBDeep (Weigert et al. 2018) reports of images whose percentiles were
    brought to 0 and 1 (`percentile_normalised`) with a data range of 1.
    """
    low, high = np.percentile(np.asarray(truth, dtype=np.float64), _PERCENTILES)
    return float(high - low)


def percentile_normalised(pixels: Pixels) -> NDArray[np.float64]:
    """Bring the 3rd percentile to 0 and the 99.8th to 1; a flat image becomes 0."""
    values = np.asarray(pixels, dtype=np.float64)
    low, high = np.percentile(values, _PERCENTILES)
    return (values - low) / (high - low) if high > low else np.zeros_like(values)


def fitted(image: Pixels, truth: Pixels) -> NDArray[np.float64]:
    """Bring `image` to the grey scale of `truth` by the best gain and offset."""
    gain, offset = affine_fit(image, truth)
    return gain * np.asarray(image, dtype=np.float64) + offset


def affine_fit(image: Pixels, truth: Pixels) -> tuple[float, float]:
    """Gain and offset that bring `image` closest to `truth` in the least-squares sense.

    Gain = covariance / variance of the image, offset = mean of the truth - gain * mean of the image; of a
    flat image the gain is 0.
    """
    _refuse_other_shape(image, truth)
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
    _refuse_other_shape(image, truth)
    return float(
        np.mean(np.square(np.asarray(image, dtype=np.float64) - np.asarray(truth, dtype=np.float64)))
    )


def _refuse_other_shape(image: Pixels, truth: Pixels) -> None:
    if image.shape != truth.shape:
        raise UnfitImages(f"expected two images of one shape, found {image.shape} and {truth.shape}")
