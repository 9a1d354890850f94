"""The noise of an instrument, measured on its own images.

The highest frequencies along both axes hold noise and next to nothing else, because optics, probe and
specimen do not reach there: a separable fourth difference measures the noise. Where a specimen does reach
there, it shows at lower frequencies too, and noise in one band is independent of noise in another: in every
interval of grey values only the places with the least gradient of the smoothed image are used, which
selects texture away without selecting noise. A straight line over grey value is then fitted, in which
intervals that still hold texture count less. Compare Foi et al., "Practical Poissonian-Gaussian noise
modeling and fitting for single-image raw-data", IEEE Trans. Image Process. 2008.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, optimize

from model_library.degradation.piles import cut_at, cut_share, find_dark_pixels, piles, solid_at
from model_library.errors import NonFinitePixels, UnsupportedImage
from model_library.images.frame import Grey

_FOURTH_DIFFERENCE = (np.array([1, -4, 6, -4, 1]) / np.sqrt(70)).astype(np.float32)
"""Unit sum of squares: white noise keeps its variance."""
_SMOOTHING_PX = 1.5
_WHITE_GRADIENT = 1 / (4 * np.pi * _SMOOTHING_PX**4)
"""Mean squared gradient of white noise of unit variance after that smoothing."""
_BORDER_PX = 8
_BINS = 24
_LEAST_TEXTURED = 0.3
_FEWEST = 300
"""Samples without which a bin says nothing."""
_MOST = 6_000_000
_HARDLY_CUT, _MOST_CUT = 0.01, 0.35
"""Shares of the pixels with noise cut by the detector's range: up to the one, the reason does not matter;
above the other, the rest does not represent them, and the deviation is too low by 5 % or more."""
_ASTRAY, _MOST_ASTRAY = 0.35, 0.2
"""How far off the line the variance of an interval may be, and in what share of the intervals it may be."""
_OUTLIER = 20.0
"""Squared residuals over this many variances are dead pixels and edges: one Gaussian draw in 100,000."""

_MEDIAN_OF_CHI2 = 0.4549

_Flat = NDArray[np.float32]
_Points = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class NoiseModel:
    """Variance of a pixel as a straight line over its expected grey value.

    Attributes
    ----------
    gain
        Counts per electron: the slope, in counts.
    read_variance
        The variance at zero counts, in counts^2: amplifier and quantisation noise, less gain x offset
        where the instrument adds an offset (so it may be negative).
    """

    gain: float
    read_variance: float

    def variance(self, mean: Grey) -> Grey:
        """Variance in counts^2 of pixels whose expected values [Y, X] are given in counts; never negative."""
        line = np.float32(self.gain) * mean + np.float32(self.read_variance)
        return np.asarray(np.clip(line, 0, None), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class _Samples:
    """Per sampled pixel, each [N]: grey value, squared residual, squared gradient once smoothed."""

    level: _Flat
    power: _Flat
    texture: _Flat


@dataclass(frozen=True, slots=True)
class _Bins:
    """Per interval of grey values, each [B]: mean level, variance, squared gradient, number of samples."""

    level: _Points
    variance: _Points
    texture: _Points
    count: _Points


def estimate_noise(images: Sequence[Grey]) -> NoiseModel:
    """Measure gain and read variance on images of one instrument.

    The noise must be white (independent between pixels), as a detector delivers it: images that were
    resampled, smoothed or compressed with loss have less noise at the highest frequencies, and the estimate
    is then too low.

    Parameters
    ----------
    images
        float32 [Y, X] each, in counts, all acquired with the same settings. One of 512 x 512 pixels suffices
        for the total noise; gain and read variance apart need several and a range of grey values.

    Returns
    -------
    NoiseModel
        The variance of a pixel about its expected value, quantisation included. Zero for flat images.

    Raises
    ------
    UnsupportedImage
        No image, or all of them smaller than 32 pixels along an axis; or the detector's range cuts off so
        much noise that what is left follows no line.
    NonFinitePixels
        An image holds NaN or infinity.
    """
    usable = [image.astype(np.float32, copy=False) for image in images if min(image.shape) >= 32]
    if not usable:
        raise UnsupportedImage(
            f"expected at least one image of 32 x 32 pixels or more to measure noise on, found {len(images)} "
            "images, all smaller; give larger ones"
        )
    if not all(np.isfinite(image).all() for image in usable):
        raise NonFinitePixels(
            "expected finite grey values to measure noise on, found NaN or infinity; leave the image out"
        )
    ends = piles(usable)
    cut = cut_share(usable, ends)
    least = min(float(image.min()) for image in usable)
    if cut > _HARDLY_CUT and least in ends:
        model = _at_black(usable, least, [end for end in ends if end != least], mostly=cut > _MOST_CUT)
        if model is not None:
            return model
    if cut > _MOST_CUT:
        raise UnsupportedImage(
            f"expected noise within the detector's range, found it cut off at "
            f"{' and '.join(f'{end:g}' for end in ends)} counts for {cut:.0%} of the pixels, too many to "
            "measure it; adjust the detector's offset (black level) and gain, or take more electrons"
        )
    return _fitted(_binned(_pooled(usable, ends, None)), ends)


def _at_black(
    images: Sequence[Grey], least: float, tops: Sequence[float], *, mostly: bool
) -> NoiseModel | None:
    """Measure noise, and not only where it is clear of the least grey value; None where that misleads.

    Pixels are not left out for being black, since that would be to choose among draws of noise. Where
    they are black because no electron came, the variance there is 0. Where the range cuts the noise of
    `mostly` all pixels, the variance that is left is measured, as it is.
    """
    bins = _binned(_pooled(images, tops, least))
    model = _fitted(bins, tops)
    if model.gain <= 0 or cut_share(images, tops) > _MOST_CUT:
        return None
    dark = find_dark_pixels(images, least, model.gain)
    if dark is not None and not dark.blurred:
        model = _fitted(bins, tops, dark.level)
    elif dark is None and not mostly:
        return None
    line = np.maximum(model.gain * bins.level + model.read_variance, 1e-12)
    astray = np.abs(bins.variance / line - 1) > _ASTRAY
    return model if astray.mean() < _MOST_ASTRAY else None


def _fitted(bins: _Bins, ends: Sequence[float], dark: float | None = None) -> NoiseModel:
    if bins.level.size == 0:
        return NoiseModel(gain=0.0, read_variance=0.0)
    model = _line(bins, np.ones_like(bins.level), dark)
    for _ in range(2 if ends else 0):
        spread = np.sqrt(np.maximum(model.gain * bins.level + model.read_variance, 1e-12))
        # Near saturation part of the noise is cut off: such bins would bend the line down.
        clear = np.min([np.abs(bins.level - end) / spread for end in ends], axis=0)
        model = _line(bins, np.clip((clear - 1) / 1.5, 0.02, 1), dark)
    return model


def _pooled(images: Sequence[Grey], ends: Sequence[float], dark: float | None) -> _Samples:
    step = int(np.ceil(np.sqrt(sum(image.size for image in images) / _MOST)))
    parts = [_sampled(image, _measurable(image, ends, dark), step) for image in images]
    return _Samples(*(np.concatenate([getattr(part, name) for part in parts]) for name in _Samples.__slots__))


def _measurable(image: Grey, ends: Sequence[float], dark: float | None) -> NDArray[np.bool_]:
    """Mark pixels [Y, X] whose noise is whole: not cut off, nor in a solid patch of dark pixels."""
    whole = np.ones(image.shape, dtype=bool) if dark is None else ~solid_at(image, dark)
    for end in ends:
        whole &= ~cut_at(image, end)
    return whole


def _sampled(image: Grey, whole: NDArray[np.bool_], step: int) -> _Samples:
    """Measure one image [Y, X] at every `step`-th pixel that is whole and not in a constant place."""
    residual = image
    for axis in (0, 1):
        residual = ndimage.correlate1d(residual, _FOURTH_DIFFERENCE, axis=axis)
    smoothed = ndimage.gaussian_filter(image, _SMOOTHING_PX)
    gy, gx = np.gradient(smoothed)
    texture = ndimage.uniform_filter(gy**2 + gx**2, 7)
    level = ndimage.gaussian_filter(image, 2.0)
    inner = (slice(_BORDER_PX, -_BORDER_PX, step),) * 2
    keep = (whole & (texture > 0))[inner]
    return _Samples(level[inner][keep], (residual**2)[inner][keep], texture[inner][keep])


def _binned(samples: _Samples) -> _Bins:
    """Reduce samples to intervals of equal numbers of pixels, each by its least textured part."""
    rows: list[tuple[float, float, float, float]] = []
    order = np.argsort(samples.level)
    bins = int(np.clip(len(order) // (4 * _FEWEST), 1, _BINS))
    cuts = np.linspace(0, len(order), bins + 1).astype(np.int64)
    for start, stop in pairwise(cuts):
        part = order[start:stop]
        texture = samples.texture[part]
        calm = part[texture <= np.quantile(texture, _LEAST_TEXTURED)] if len(part) else part
        power = samples.power[calm]
        if 4 * len(calm) < _FEWEST or not power.any():
            continue
        typical = float(np.median(power)) / _MEDIAN_OF_CHI2
        kept = power <= _OUTLIER * typical if typical > 0 else np.ones(len(power), dtype=bool)
        gradient = float(samples.texture[calm].mean()) / _WHITE_GRADIENT
        variance = float(power[kept].mean(dtype=np.float64))
        rows.append((float(samples.level[calm].mean()), variance, gradient, float(kept.sum())))
    return _Bins(*np.array(rows, dtype=np.float64).reshape(-1, 4).T)


def _line(bins: _Bins, trust: _Points, dark: float | None) -> NoiseModel:
    """Fit gain >= 0 and a variance >= 0 at the darkest bin, by reweighted least squares.

    Where the grey value of no electron (`dark`) is known, the variance is 0 there.

    Texture only ever adds power: bins above the line, and those with more gradient than noise explains,
    lose weight.
    """
    darkest = float(bins.level.min()) if dark is None else dark
    constant = np.full_like(bins.level, 1.0 if dark is None else 0.0)
    design = np.stack((bins.level - darkest, constant), axis=1)
    expected = np.full_like(bins.level, float(np.median(bins.variance)))
    least = 0.05 * expected
    tolerance = np.maximum(0.15, 3 * np.sqrt(16 / bins.count))
    slope, base = 0.0, float(expected[0])
    for _ in range(15):
        textured = np.maximum(bins.texture / expected - 1, 0) / 0.5
        above = np.maximum(bins.variance / expected - 1, 0) / tolerance
        weight = np.sqrt(trust * bins.count / (1 + textured**2) / (1 + above**2)) / expected
        (slope, base), _ = optimize.nnls(design * weight[:, None], bins.variance * weight)
        expected = np.maximum(design @ np.array([slope, base]), least)
    return NoiseModel(gain=float(slope), read_variance=float(base - slope * darkest))
