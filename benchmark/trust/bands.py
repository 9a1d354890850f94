"""Contrast of blobs and edges of several sizes, in units of what noise alone would show."""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from model_library.degradation.fitting import ROUNDING
from model_library.degradation.noise import NoiseModel
from model_library.images.frame import Grey

SIZES_PX = (1.5, 3.0, 6.0)
"""Standard deviations of the blobs that are looked for, in pixels of the acquisition."""
_RATIO = 1.6
"""Of the two Gaussians of a band; close to the Laplacian of a Gaussian (Marr & Hildreth 1980)."""
_LEVEL_PX = 2.0
_LEAST_SHARE = 0.25


def band(pixels: Grey, size_px: float) -> Grey:
    """Difference of two Gaussians: what has about this size; [Y, X] in the units of `pixels`."""
    narrow = ndimage.gaussian_filter(pixels, size_px, mode="mirror")
    response: Grey = narrow - ndimage.gaussian_filter(pixels, _RATIO * size_px, mode="mirror")
    return response


@cache
def white_gain(size_px: float) -> float:
    """Give the standard deviation of `band` for white noise of unit variance."""
    side = 2 * int(8 * size_px) + 1
    delta = np.zeros((side, side), np.float32)
    delta[side // 2, side // 2] = 1
    return float(np.sqrt(np.sum(np.square(band(delta, size_px), dtype=np.float64))))


def noise_sigma(pixels: Grey, noise: NoiseModel) -> Grey:
    """Give the standard deviation of the noise at every pixel of an acquisition, in counts.

    Rounding adds to it. Where a line fitted to brighter grey values has come down to nothing, a quarter of
    the image's typical variance stands: a pixel without any noise would count as infinitely certain.
    """
    variance = noise.variance(ndimage.gaussian_filter(pixels, _LEVEL_PX)) + np.float32(ROUNDING)
    sigma: Grey = np.sqrt(np.maximum(variance, _LEAST_SHARE * np.median(variance)))
    return sigma


def contrast(pixels: Grey, sigma: Grey | float, size_px: float) -> NDArray[np.float32]:
    """Contrast at one size, in standard deviations of that of white noise of `sigma`."""
    found: NDArray[np.float32] = band(pixels, size_px) / (sigma * np.float32(white_gain(size_px)))
    return found
