"""What one image shows of its instrument: how noisy it is, and how bright."""

from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from model_library.images.frame import Grey
from model_library.wire.base import Message

if TYPE_CHECKING:
    from model_library.degradation.noise import NoiseModel

_LEVELS = (5, 15, 25, 35, 45, 55, 65, 75, 85, 95)
"""Percentiles of the smoothed image that stand for its grey values."""
_SMOOTHING_PX = 2.0
_MOST_PX = 1024
_QUANTISATION = 1 / 12
"""Variance that rounding to whole counts adds, in counts^2; keeps ratios finite where there is no noise."""


class Observation(Message):
    """An image's own noise model (see `NoiseModel`) and its grey values (percentiles, in counts)."""

    gain: float
    read_variance: float
    levels: tuple[float, ...] = Field(min_length=1)


def observe(pixels: Grey) -> Observation:
    """Measure one image, float32 [Y, X] in counts; of a large one the middle 1024 x 1024 pixels.

    Raises
    ------
    UnsupportedImage, NonFinitePixels
        See `estimate_noise`.
    """
    from scipy import ndimage

    from model_library.degradation.noise import estimate_noise

    top, left = (max(0, side - _MOST_PX) // 2 for side in pixels.shape)
    middle = pixels[top : top + _MOST_PX, left : left + _MOST_PX]
    noise = estimate_noise([middle])
    levels = np.percentile(ndimage.gaussian_filter(middle, _SMOOTHING_PX), _LEVELS)
    return Observation(
        gain=noise.gain, read_variance=noise.read_variance, levels=tuple(float(level) for level in levels)
    )


def relative_noise(seen: Observation, reference: "NoiseModel") -> float:
    """Noise of an image over that of a model at the same grey values; 1 means as measured."""
    levels = np.asarray(seen.levels, dtype=np.float64)
    found = _mean_variance(seen.gain, seen.read_variance, levels)
    return float(np.sqrt(found / _mean_variance(reference.gain, reference.read_variance, levels)))


def brightness(seen: Observation, reference: "NoiseModel") -> float:
    """Mean grey value above that at which a model has no noise, in counts, at least 1.

    Without electrons there is no shot noise; so the model's zero is about the detector's offset.
    """
    dark = -reference.read_variance / reference.gain if reference.gain > 0 else 0.0
    return max(float(np.mean(seen.levels)) - min(max(dark, 0.0), min(seen.levels)), 1.0)


def _mean_variance(gain: float, read_variance: float, levels: "np.typing.NDArray[np.float64]") -> float:
    return float(np.clip(gain * levels + read_variance, 0, None).mean()) + _QUANTISATION
