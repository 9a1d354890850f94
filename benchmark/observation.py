"""What one image shows of its instrument: how noisy it is, how bright and how sharp."""

from collections.abc import Sequence
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
_FEWEST = 8
_QUANTISATION = 1 / 12
"""Variance that rounding to whole counts adds, in counts^2; keeps ratios finite where there is no noise."""


class Observation(Message):
    """An image's own noise model (see `NoiseModel`), its grey values (percentiles, in counts) and edges.

    `sharpness` is that of `edge_sharpness`; None where the image shows no edges.
    """

    gain: float
    read_variance: float
    levels: tuple[float, ...] = Field(min_length=1)
    sharpness: float | None = None


def observe(pixels: Grey) -> Observation:
    """Measure one image, float32 [Y, X] in counts; of a large one the middle 1024 x 1024 pixels.

    Raises
    ------
    UnsupportedImage, NonFinitePixels
        See `estimate_noise`.
    """
    from scipy import ndimage

    from benchmark.edge_sharpness import edge_sharpness
    from model_library.degradation.noise import estimate_noise

    top, left = (max(0, side - _MOST_PX) // 2 for side in pixels.shape)
    middle = pixels[top : top + _MOST_PX, left : left + _MOST_PX]
    noise = estimate_noise([middle])
    levels = np.percentile(ndimage.gaussian_filter(middle, _SMOOTHING_PX), _LEVELS)
    return Observation(
        gain=noise.gain,
        read_variance=noise.read_variance,
        levels=tuple(float(level) for level in levels),
        sharpness=edge_sharpness(middle, noise),
    )


def relative_noise(seen: Observation, reference: "NoiseModel") -> float:
    """Noise of an image over that of a model at the same grey values; 1 means as measured."""
    levels = np.asarray(seen.levels, dtype=np.float64)
    found = _mean_variance(seen.gain, seen.read_variance, levels)
    return float(np.sqrt(found / _mean_variance(reference.gain, reference.read_variance, levels)))


def brightness_weights(baseline: Sequence[Observation], reference: "NoiseModel") -> tuple[float, ...]:
    """Find the mean of an instrument's grey values that its specimens move least.

    A change of the beam shifts the logarithm of every grey value alike, another specimen shifts some more
    than others: where particles come and go, the background stays. Of all weights that are not negative and
    sum to 1, those are taken whose mean logarithm scatters least over the baseline.

    Parameters
    ----------
    baseline
        Images of the instrument while all was well; of fewer than eight every grey value counts alike.
    reference
        Tells the grey value of no electrons.

    Returns
    -------
    One weight per grey value of an observation.
    """
    from scipy.optimize import nnls

    count = min((len(each.levels) for each in baseline), default=len(_LEVELS))
    if len(baseline) < _FEWEST:
        return (1 / count,) * count
    logs = np.array([_log_levels(each, reference)[:count] for each in baseline])
    spread = (logs - logs.mean(axis=0)) / np.sqrt(len(logs))
    # Lowers the weights of equal grey values alike where nothing else decides.
    ridge = (1e-3 * float(np.sqrt(np.square(spread).sum(axis=0).mean())) + 1e-9) * np.eye(count)
    heavy = 1e3 * max(float(np.abs(spread).max()), float(ridge[0, 0]))
    rows = np.vstack([spread, ridge, np.full((1, count), heavy)])
    found, _ = nnls(rows, np.append(np.zeros(len(rows) - 1), heavy))
    return tuple(float(weight) for weight in found / found.sum())


def brightness(seen: Observation, reference: "NoiseModel", weights: Sequence[float]) -> float:
    """Weighted geometric mean of the grey values above that at which a model has no noise, in counts.

    Without electrons there is no shot noise; so the model's zero is about the detector's offset. At least 1.
    """
    return float(np.exp(np.dot(weights, _log_levels(seen, reference)[: len(weights)])))


def _log_levels(seen: Observation, reference: "NoiseModel") -> "np.typing.NDArray[np.float64]":
    dark = -reference.read_variance / reference.gain if reference.gain > 0 else 0.0
    levels = np.asarray(seen.levels, dtype=np.float64)
    return np.log(np.maximum(levels - min(max(dark, 0.0), float(levels.min())), 1.0))


def _mean_variance(gain: float, read_variance: float, levels: "np.typing.NDArray[np.float64]") -> float:
    return float(np.clip(gain * levels + read_variance, 0, None).mean()) + _QUANTISATION
