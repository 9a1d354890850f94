"""What a method makes of noise alone: whatever structure it shows there, it has invented."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmark.method import Method
from benchmark.trust.bands import SIZES_PX, contrast, noise_sigma
from benchmark.trust.forward import seen_again
from model_library.degradation.fitting import ROUNDING
from model_library.degradation.noise import NoiseModel
from model_library.degradation.recorruption import added_noise
from model_library.images.frame import Grey

_MADE_SIGMA = 4.0
"""Contrast that noise itself hardly has (6 pixels in 100,000), and no linear smoother gives it."""
_LONE_SIGMA, _LONE_TIMES = 2.0, 6.0
"""Less contrast is structure as well where it stands out from what else the result shows."""
_MAD_TO_SIGMA = 0.6744897501960817
CONTRAST_MARGIN_PX = 80
_BAR_PX, _BINS, _SMOOTHING_PX = 8, 64, 2.0
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
    variance = max(float(noise.variance(flat[:1, :1])[0, 0]), ROUNDING)
    if variance > _MANY_ELECTRONS * noise.gain**2:
        normal = np.sqrt(np.float32(variance)) * rng.standard_normal(flat.shape, dtype=np.float32)
        return np.asarray(flat + normal, dtype=np.float32)
    acquired: Grey = flat + added_noise(flat, noise, 1.0, rng)
    return acquired


def blank_field(image: Grey, noise: NoiseModel, side_px: int, rng: np.random.Generator) -> tuple[Grey, Grey]:
    """Acquire a field without specimen as one part of an image of the instrument's own contrast.

    A segmentation puts grey values on a scale that a whole image's percentiles span. An image of nothing but
    noise stretches that noise over the whole scale, which on images with a specimen it never fills.
    Here two bars, as dark and as bright as the specimen is, keep the scale; and the field has the grey value
    that is most frequent, that of a background or a phase, since between two phases any answer is right.

    Returns
    -------
    The field with noise and without, float32 [side, `CONTRAST_MARGIN_PX` + side] in counts: the bars are in
    the first columns, far enough away from the last `side` ones.
    """
    dark, bright = (float(each) for each in np.percentile(image, (1, 99)))
    smooth = ndimage.gaussian_filter(image, _SMOOTHING_PX)
    counts, edges = np.histogram(smooth, _BINS, (dark, max(bright, dark + 1)))
    most = int(np.argmax(ndimage.uniform_filter1d(counts.astype(np.float64), 5)))
    level = float(edges[most] + edges[most + 1]) / 2
    noisy = noise_only(level, noise, side_px + CONTRAST_MARGIN_PX, rng)[:side_px].copy()
    fields = noisy, np.full_like(noisy, level)
    for field in fields:
        field[:, :_BAR_PX], field[:, _BAR_PX : 2 * _BAR_PX] = dark, bright
    return fields


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
