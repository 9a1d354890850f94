"""Recovering a recipe from an instrument's own images, by their noise alone.

Mean and variance of the noise give gain and read variance up to the detector's offset (see `noise`). The
offset shows in the skewness: the third cumulant of counted electrons is gain^2 x (mean - offset), and that
of read noise is 0. Compare Rakhshanfar & Amer, IEEE Trans. Image Process. 2016, and, for the relations
between cumulants, Janesick, "Photon Transfer", SPIE Press 2007.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from model_library.degradation.fitted import Bits, DegradationFit, OffsetSource
from model_library.degradation.noise import NoiseModel, estimate_noise
from model_library.degradation.piles import cut_share, find_dark_pixels, piles
from model_library.errors import RecipeError
from model_library.images.frame import Grey

FEWEST_PIXELS = 2**17
"""All images together: two of 256 x 256."""
ROUNDING = 1 / 12
"""Variance of rounding to whole counts."""
_SECOND_DIFFERENCE = (np.array([-1, 2, -1]) / np.sqrt(6)).astype(np.float32)
_CUBES = float(np.sum(_SECOND_DIFFERENCE.astype(np.float64) ** 3)) ** 2
"""Share of the third cumulant that passes the second difference along both axes."""
_CORRELATED = 1.5
"""Standard errors are so much larger because residuals of neighbours are correlated."""
_BORDER_PX = 8
_CALMEST = 0.5
_PRECISE = 0.3
"""Standard error of the offset, relative to the signal, beyond which skewness tells nothing."""
_MOST_CUT, _HARDLY_CUT = 0.1, 0.02
"""Shares of the pixels with noise cut by the detector's range: to refuse, and to mistrust skewness."""
_WHITE_PERCENTILE = 99.9


@dataclass(frozen=True, slots=True)
class _Skewness:
    """Third cumulant of the noise in counts^3 with its standard error, and the mean in counts."""

    cumulant: float
    error: float
    mean: float


def fit_images(images: Sequence[Grey], *, offset: float | None = None) -> DegradationFit:
    """Recover gain, offset, dose and read noise from images of one instrument and one setting.

    Parameters
    ----------
    images
        float32 [Y, X] each, in counts; white noise (see `estimate_noise`).
    offset
        Grey value without electrons (of a dark frame), in counts, where it is known.

    Returns
    -------
    DegradationFit
        Intensity 1 is the 99.9th percentile of the smoothed images.

    Raises
    ------
    RecipeError
        Too few pixels.
    UnsupportedImage, NonFinitePixels
        See `estimate_noise`.
    """
    check_enough(images)
    noise = estimate_noise(images)
    _check_range(images, noise)
    dark, source = _offset(images, noise, offset)
    smoothed = np.concatenate([ndimage.gaussian_filter(image, 1.5).ravel()[::7] for image in images])
    level, white = (float(each) for each in np.percentile(smoothed, (50, _WHITE_PERCENTILE)))
    full_scale = max(white - dark, 1e-6)
    bits = bits_of(images)
    read_variance = noise.read_variance + noise.gain * dark - (ROUNDING if bits is not None else 0)
    return DegradationFit(
        images=len(images),
        paired=False,
        gain_counts_per_electron=noise.gain,
        offset_counts=dark,
        offset_from=source,
        read_sigma_counts=float(np.sqrt(max(read_variance, 0.0))),
        noise_sigma_counts=float(np.sqrt(noise.variance(np.array([level], np.float32))[0])),
        level_counts=level,
        full_scale_counts=full_scale,
        electrons_per_pixel=full_scale / noise.gain if noise.gain > 0 else None,
        bits=bits,
    )


def check_enough(images: Sequence[Grey]) -> None:
    """Refuse fewer pixels than noise is measured on with confidence (`RecipeError`)."""
    pixels = sum(image.size for image in images)
    if pixels < FEWEST_PIXELS:
        raise RecipeError(
            f"expected at least {FEWEST_PIXELS} pixels in all to fit a degradation, found {pixels} in "
            f"{len(images)} images; add images of the same instrument and settings"
        )


def bits_of(images: Sequence[Grey]) -> Bits | None:
    """Bits of the detector that whole counts come from; None where some are fractions or negative."""
    if any((image != np.rint(image)).any() or image.min(initial=0) < 0 for image in images):
        return None
    most = max(float(image.max(initial=0)) for image in images)
    widths: tuple[Bits, ...] = (8, 12, 14, 16)
    return next((bits for bits in widths if most < 2**bits), None)


def _check_range(images: Sequence[Grey], noise: NoiseModel) -> None:
    """Refuse images of which the range cuts more than total noise can be told from (`RecipeError`)."""
    least = min(float(image.min()) for image in images)
    cutting = [
        end for end in piles(images) if end != least or find_dark_pixels(images, end, noise.gain) is None
    ]
    cut = cut_share(images, cutting)
    if cut > _MOST_CUT:
        raise RecipeError(
            f"expected noise within the detector's range, found it cut off at "
            f"{' and '.join(f'{end:g}' for end in cutting)} counts for {cut:.0%} of the pixels, too many to "
            "tell shot noise from read noise; adjust the detector's offset (black level) and gain"
        )


def _offset(images: Sequence[Grey], noise: NoiseModel, given: float | None) -> tuple[float, OffsetSource]:
    """Tell the grey value of no electron, and how it is known."""
    if given is not None:
        return given, "given"
    least = max(0.0, -noise.read_variance / noise.gain) if noise.gain > 0 else 0.0
    ends = piles(images)
    darkest = min(float(image.min()) for image in images)
    if darkest in ends and find_dark_pixels(images, darkest, noise.gain) is not None:
        return darkest, "empty pixels"
    if noise.gain <= 0 or cut_share(images, ends) > _HARDLY_CUT:
        # What the range cuts off would show as skewness.
        return least, "assumed"
    seen = _skewness(images)
    found, error = seen.mean - seen.cumulant / noise.gain**2, seen.error / noise.gain**2
    none_is_likely = least == 0 and abs(found) < 2 * error
    if none_is_likely or error > _PRECISE * max(seen.mean - found, 0):
        return least, "assumed"
    darkest_level = min(float(ndimage.gaussian_filter(image, 2.0).min()) for image in images)
    return float(np.clip(found, least, max(darkest_level, least))), "skewness"


def _skewness(images: Sequence[Grey]) -> _Skewness:
    """Measure the third cumulant of the noise in the calmer half of the images."""
    residuals, levels = [], []
    inner = (slice(_BORDER_PX, -_BORDER_PX),) * 2
    for image in images:
        if min(image.shape) < 32:
            continue
        residual = image
        for axis in (0, 1):
            residual = ndimage.correlate1d(residual, _SECOND_DIFFERENCE, axis=axis)
        gy, gx = np.gradient(ndimage.gaussian_filter(image, 1.5))
        texture = ndimage.uniform_filter(gy**2 + gx**2, 7)[inner]
        calm = texture <= np.quantile(texture, _CALMEST)
        residuals.append(residual[inner][calm].astype(np.float64))
        levels.append(image[inner][calm].astype(np.float64))
    cubes = np.concatenate(residuals) ** 3
    error = _CORRELATED * float(cubes.std()) / np.sqrt(cubes.size)
    return _Skewness(float(cubes.mean()) / _CUBES, error / _CUBES, float(np.concatenate(levels).mean()))
