"""What a method makes of noise alone: whatever structure it shows there, it has invented."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark.method import Method
from benchmark.trust.bands import SIZES_PX, contrast, noise_sigma
from benchmark.trust.forward import seen_again
from model_library.degradation.noise import NoiseModel
from model_library.degradation.recorruption import added_noise
from model_library.images.frame import Grey

_MADE_SIGMA = 4.0
"""Contrast that noise itself hardly has (6 pixels in 100,000), and no linear smoother gives it."""
_LONE_SIGMA, _LONE_TIMES = 2.0, 6.0
"""Less contrast is structure as well where it stands out from what else the result shows."""
_MAD_TO_SIGMA = 0.6744897501960817
_QUANTISATION = 1 / 12
CONTRAST_MARGIN_PX = 80
_BAR_PX = 8
_MANY_ELECTRONS = 1e4
"""Above so many per pixel, shot noise is normal."""


@dataclass(frozen=True)
class Invention:
    """Noise, what became of it, and where that is structure.

    Attributes
    ----------
    given, made
        float32 [Y, X], counts; `made` at the sampling of `given`.
    structure
        bool [Y, X].
    share
        Of the area.
    """

    given: Grey
    made: Grey
    structure: NDArray[np.bool_]

    @property
    def share(self) -> float:
        """Share of the area that is structure."""
        return float(self.structure.mean())


def noise_only(level: float, noise: NoiseModel, side_px: int, rng: np.random.Generator) -> Grey:
    """Acquire a specimen without any structure: float32 [side, side] in counts.

    Where the noise is less than that of rounding, it is as much as that.
    """
    flat = np.full((side_px, side_px), level, dtype=np.float32)
    variance = max(float(noise.variance(flat[:1, :1])[0, 0]), _QUANTISATION)
    if variance > _MANY_ELECTRONS * noise.gain**2:
        normal = np.sqrt(np.float32(variance)) * rng.standard_normal(flat.shape, dtype=np.float32)
        return np.asarray(flat + normal, dtype=np.float32)
    acquired: Grey = flat + added_noise(flat, noise, 1.0, rng)
    return acquired


def blank_field(images: Sequence[Grey], noise: NoiseModel, side_px: int, rng: np.random.Generator) -> Grey:
    """Acquire a field without specimen as one part of an image of the instrument's own contrast.

    A segmentation puts grey values on a scale that a whole image's percentiles span. An image of nothing but
    noise stretches that noise over the whole scale, which on images with a specimen it never fills.
    Here two bars, as dark and as bright as the specimens are, keep the scale.

    Returns
    -------
    float32 [side, `CONTRAST_MARGIN_PX` + side] in counts: the bars are in the first columns, far enough
    away from the last `side` ones.
    """
    level = float(np.median([np.median(image) for image in images]))
    dark, bright = np.median([np.percentile(image, (1, 99)) for image in images], axis=0)
    whole = noise_only(level, noise, side_px + CONTRAST_MARGIN_PX, rng)[:side_px].copy()
    whole[:, :_BAR_PX], whole[:, _BAR_PX : 2 * _BAR_PX] = dark, bright
    return whole


def invention(method: Method, given: Grey, noise: NoiseModel) -> Invention:
    """Restore noise and mark structure in the result.

    A pixel is structure where the result has, in any band of sizes, more contrast than the noise that it
    was made of can have; or half of that, where the rest of the result is calm. Filters that weaken every
    frequency pass by construction, however little they smooth.

    Parameters
    ----------
    method
        Restores.
    given
        From `noise_only`.
    noise
        Of the instrument.

    Raises
    ------
    UnusableResult
        See `seen_again`.
    """
    made = seen_again(method(given), given)
    sigma = float(np.median(noise_sigma(given, noise)))
    structure = np.zeros(given.shape, dtype=np.bool_)
    for size in SIZES_PX:
        size_of = np.abs(contrast(made, sigma, size))
        calm = float(np.median(size_of)) / _MAD_TO_SIGMA
        lone = (size_of > _LONE_SIGMA) & (size_of > _LONE_TIMES * calm)
        structure |= (size_of > _MADE_SIGMA) | lone
    return Invention(given, made, structure)
