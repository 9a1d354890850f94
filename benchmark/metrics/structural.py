"""Structural similarity, at one scale and at five."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d

from benchmark.compiled import worth_compiling
from benchmark.errors import UnfitImages
from benchmark.metrics.pointwise import Pixels, fitted

SIGMA_PX = 1.5
RADIUS_PX = 5
LEAST_SIDE_PX = 2 * RADIUS_PX + 1
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the scales, the finest first (Wang et al. 2003)."""
LEAST_SIDE_MS_PX = (LEAST_SIDE_PX - 1) * 2 ** (len(SCALE_WEIGHTS) - 1) + 1
"""161: below it the window does not fit into the coarsest scale."""

_TAPS = np.exp(-0.5 * (np.arange(-RADIUS_PX, RADIUS_PX + 1) / SIGMA_PX) ** 2)
_TAPS /= _TAPS.sum()


def ssim(image: Pixels, truth: Pixels, data_range: float) -> float:
    """Mean structural similarity (Wang et al. 2004): Gaussian window of sigma 1.5 px, K1 0.01, K2 0.03.

    The mean goes over the places where the window of 11 x 11 px fits into the image.

    Parameters
    ----------
    image, truth
        Axes [Y, X], the same shape, at least 11 px a side.
    data_range
        Span of the truth's values, in the pixels' unit.
    """
    x, y = _pair(image, truth, LEAST_SIDE_PX)
    return _similarity(x, y, data_range)[0]


def ssim_affine(image: Pixels, truth: Pixels, data_range: float) -> float:
    """SSIM after the best scale and shift of `image` (see `affine_fit`)."""
    return ssim(fitted(image, truth), truth, data_range)


def ms_ssim(image: Pixels, truth: Pixels, data_range: float) -> float:
    """Structural similarity at five scales (Wang, Simoncelli & Bovik 2003).

    Contrast and structure of every scale, luminance of the coarsest; a scale is the mean of 2 x 2 pixels
    of the one before, an odd last row or column standing for its missing neighbour too. A negative mean
    counts as 0, because its root is not real.

    Parameters
    ----------
    image, truth
        Axes [Y, X], the same shape, at least 161 px a side.
    data_range
        Span of the truth's values, in the pixels' unit.
    """
    x, y = _pair(image, truth, LEAST_SIDE_MS_PX)
    product = 1.0
    for scale, weight in enumerate(SCALE_WEIGHTS):
        whole, structure = _similarity(x, y, data_range)
        last = scale == len(SCALE_WEIGHTS) - 1
        product *= max(whole if last else structure, 0.0) ** weight
        if not last:
            x, y = _halved(x), _halved(y)
    return product


def ms_ssim_affine(image: Pixels, truth: Pixels, data_range: float) -> float:
    """MS-SSIM after the best scale and shift of `image` (see `affine_fit`)."""
    return ms_ssim(fitted(image, truth), truth, data_range)


def _pair(image: Pixels, truth: Pixels, least_px: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if image.shape != truth.shape or min(truth.shape) < least_px:
        raise UnfitImages(
            f"expected two images of one shape, {least_px} px a side or more, found {image.shape},"
            f" {truth.shape}; give larger images"
        )
    x, y = (np.ascontiguousarray(each, dtype=np.float64) for each in (image, truth))
    return x, y


def _similarity(x: NDArray[np.float64], y: NDArray[np.float64], data_range: float) -> tuple[float, float]:
    """Mean similarity, and mean of its part without luminance."""
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    if worth_compiling(x.size):
        from benchmark.metrics.ssim_kernel import similarity_sums

        total, structure = similarity_sums(x, y, _TAPS, c1, c2)
    else:
        total, structure = _similarity_sums(x, y, c1, c2)
    places = (x.shape[0] - 2 * RADIUS_PX) * (x.shape[1] - 2 * RADIUS_PX)
    return total / places, structure / places


def _similarity_sums(
    x: NDArray[np.float64], y: NDArray[np.float64], c1: float, c2: float
) -> tuple[float, float]:
    """Do what `ssim_kernel.similarity_sums` does, by scipy."""
    mean_x, mean_y = _window(x), _window(y)
    cross, power = mean_x * mean_y, mean_x * mean_x + mean_y * mean_y
    structure = (2 * (_window(x * y) - cross) + c2) / (_window(x * x + y * y) - power + c2)
    return float(np.sum(structure * (2 * cross + c1) / (power + c1))), float(np.sum(structure))


def _window(pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average under the window, where it fits."""
    inner = slice(RADIUS_PX, -RADIUS_PX)
    rows = np.asarray(correlate1d(pixels, _TAPS, axis=0))[inner]
    return np.asarray(correlate1d(rows, _TAPS, axis=1)[:, inner], dtype=np.float64)


def _halved(pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of 2 x 2 pixels; an odd last row or column stands for its missing neighbour too."""
    height, width = pixels.shape
    if height % 2 or width % 2:
        pixels = np.pad(pixels, ((0, height % 2), (0, width % 2)), mode="edge")
    pairs = pixels[::2] + pixels[1::2]
    return np.ascontiguousarray((pairs[:, ::2] + pairs[:, 1::2]) / 4)
