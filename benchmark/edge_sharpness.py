"""How sharp the edges of an image are: a measure that noise does not bias."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from model_library.degradation.noise import NoiseModel
from model_library.images.frame import Grey

_FINE_PX, _COARSE_PX = 1.0, 2.0
_STRONGEST = 0.05
_CLEAR = 4.0
"""Standard deviations by which the slope of an edge exceeds that of noise, once smoothed."""
_FEWEST = 50
_BORDER_PX = 9


def edge_sharpness(pixels: Grey, noise: NoiseModel) -> float | None:
    """Slope of the strongest edges smoothed a little, over their slope smoothed more: up to 2, blurred 1.

    The edges are where the slope of the image smoothed by 2 px is among its steepest 5 % and clear of the
    noise; the slope at 1 px is taken along the same direction. So both are linear in the grey values: neither
    contrast nor brightness plays a part, and noise scatters the ratio but hardly shifts it, which a ratio
    of powers is not spared. A further blur of s px takes an edge of width w from sqrt((4 + w^2) / (1 + w^2))
    to the same with w^2 + s^2.

    Parameters
    ----------
    pixels
        float32 [Y, X] in counts.
    noise
        Of the image.

    Returns
    -------
    None where fewer than 50 pixels hold an edge.
    """
    fine, coarse = (_slopes(pixels, sigma) for sigma in (_FINE_PX, _COARSE_PX))
    steepness = np.hypot(*coarse)
    if not steepness.size:
        return None
    variance = float(noise.variance(pixels).mean(dtype=np.float64))
    # A derivative of white noise of unit variance, smoothed by s, has the variance 1 / (8 pi s^4).
    floor = _CLEAR * np.sqrt(variance / (8 * np.pi * _COARSE_PX**4))
    edges = steepness > max(float(np.quantile(steepness, 1 - _STRONGEST)), float(floor))
    if int(edges.sum()) < _FEWEST:
        return None
    along = sum(one[edges] * other[edges] for one, other in zip(fine, coarse, strict=True)) / steepness[edges]
    return max(float(np.mean(along, dtype=np.float64) / steepness[edges].mean(dtype=np.float64)), 1e-3)


def _slopes(pixels: Grey, sigma: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Differentiate the smoothed image along Y and X, and leave out its rim."""
    inner = (slice(_BORDER_PX, -_BORDER_PX),) * 2
    down, right = (ndimage.gaussian_filter(pixels, sigma, order=order)[inner] for order in ((1, 0), (0, 1)))
    return down, right
