"""Recovering a recipe from pairs: low-quality images and clean ones of the same fields.

The mean is fitted first: the blur that brings the clean images closest to the others by a straight line of
grey values. What is left is noise, and its square is a straight line over the fitted signal.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, optimize

from model_library.degradation.fitted import DegradationFit, Scale
from model_library.degradation.fitting import ROUNDING, bits_of, check_enough
from model_library.degradation.piles import find_dark_pixels, piles
from model_library.degradation.sampling import block_mean
from model_library.errors import NonFinitePixels, RecipeError
from model_library.images.frame import Grey

_WIDEST_BLUR_PX = 5.0
_MOST_PX = 512
"""Side of the middle part of each image that is used: blur is tried often."""
_BORDER_PX = 8
_BINS = 48
_OUTLIER = 100.0
"""Squared residuals over this many variances are dead pixels; 4 electrons where 0.1 are expected are not."""
_CUT_SHARE = 0.02
"""Share of the pixels of like expectation at an end of the range, above which their variance is too low."""
_FEWEST_WHOLE = 0.5
"""Share of the pixels that must be left."""
_SIGNIFICANT = 12.0
"""Twice the logarithm of the likelihood that a blur must gain."""
_SAME_FIELD = 0.08
"""Correlation of neighbouring residuals, above which the specimen shows in them: a shift of 2 pixels makes
0.1 of it, and the gain 20 % too large."""

_Points = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ImagePair:
    """A low-quality image [Y, X] in counts and its clean partner [s Y, s X] in [0, 1]; `name` for errors."""

    name: str
    image: Grey
    clean: Grey


@dataclass(frozen=True, slots=True)
class _Mean:
    """Expected counts: `slope` x clean + `offset`, blurred by `blur_px`; `left` is the mean square left."""

    blur_px: float
    slope: float
    offset: float
    left: float

    @classmethod
    def of(cls, blur_px: float, clean: _Points, counts: _Points) -> Self:
        """Fit slope and offset to blurred clean intensities [N] and counts [N]."""
        spread = clean.var()
        product = np.mean((clean - clean.mean()) * (counts - counts.mean()))
        slope = float(product / spread) if spread > 0 else 0.0
        offset = float(counts.mean() - slope * clean.mean())
        return cls(blur_px, slope, offset, float(np.mean((counts - slope * clean - offset) ** 2)))


def fit_pairs(pairs: Sequence[ImagePair], *, progress: Callable[[int], None] | None = None) -> DegradationFit:
    """Recover gain, offset, dose, read noise, blur and down-sampling from pairs.

    Clean images are taken as free of noise: their own counts as noise of the others.

    Parameters
    ----------
    pairs
        Of one instrument and one setting. Intensity 0 of the clean images is no electron.
    progress
        Told the number of blurs tried so far.

    Raises
    ------
    RecipeError
        No pair, too few pixels, sizes that do not fit, partners that do not show the same field, or noise
        that the detector's range cuts off nearly everywhere.
    NonFinitePixels
        An image holds NaN or infinity.
    """
    scale = _scale(pairs)
    check_enough([pair.image for pair in pairs])
    used = [_middle(pair, scale) for pair in pairs]
    counts = np.concatenate([_inner(pair.image) for pair in used])
    blur_px = _fitted_blur(used, counts, scale, progress)
    clean = np.concatenate([_inner(_blurred(pair.clean, blur_px, scale)) for pair in used])
    whole = _whole(used, clean, counts)
    mean = _Mean.of(blur_px, clean[whole], counts[whole])
    if mean.slope <= 0:
        raise RecipeError(
            f"{pairs[0].name}: expected images that are bright where their clean partners are, found the "
            "opposite or nothing in common; pair them by the same file name"
        )
    signal = mean.slope * clean
    gain, variance = _noise_line(signal[whole], (counts - signal - mean.offset)[whole] ** 2)
    correlation = _neighbour_correlation(used, mean, scale)
    if correlation > _SAME_FIELD:
        raise RecipeError(
            f"{pairs[0].name} and others: expected white noise between the images and their clean partners, "
            f"found neighbours correlated by {correlation:.2f}; register them, or leave resampled ones out"
        )
    bits = bits_of([pair.image for pair in pairs])
    level = float(np.median(signal))
    return DegradationFit(
        images=len(pairs),
        paired=True,
        gain_counts_per_electron=gain,
        offset_counts=mean.offset,
        offset_from="clean images",
        read_sigma_counts=float(np.sqrt(max(variance - (ROUNDING if bits is not None else 0), 0.0))),
        noise_sigma_counts=float(np.sqrt(gain * level + variance)),
        level_counts=level + mean.offset,
        full_scale_counts=mean.slope,
        electrons_per_pixel=mean.slope / gain if gain > 0 else None,
        blur_sigma_px=mean.blur_px,
        scale=scale,
        neighbour_correlation=correlation,
        bits=bits,
    )


def _scale(pairs: Sequence[ImagePair]) -> Scale:
    """Tell how much finer the clean images are sampled."""
    if not pairs:
        raise RecipeError("expected at least one pair of images, found none; give clean partners")
    scales: tuple[Scale, ...] = (1, 2, 3, 4)
    found: Scale | None = None
    for pair in pairs:
        if not (np.isfinite(pair.image).all() and np.isfinite(pair.clean).all()):
            raise NonFinitePixels(f"{pair.name}: expected finite grey values, found NaN; leave the pair out")
        fitting = [
            each for each in scales if tuple(side // each for side in pair.clean.shape) == pair.image.shape
        ]
        if not fitting or (found is not None and fitting[0] != found):
            raise RecipeError(
                f"{pair.name}: expected a clean image 1, 2, 3 or 4 times as large as its partner of "
                f"{pair.image.shape} pixels, and equally so in all pairs, found {pair.clean.shape}; crop or "
                "leave the pair out"
            )
        found = fitting[0]
    assert found is not None
    return found


def _middle(pair: ImagePair, scale: int) -> ImagePair:
    window = [
        slice((side - min(side, _MOST_PX)) // 2, (side + min(side, _MOST_PX)) // 2)
        for side in pair.image.shape
    ]
    fine = tuple(slice(part.start * scale, part.stop * scale) for part in window)
    return ImagePair(pair.name, pair.image[tuple(window)], pair.clean[fine])


def _blurred(clean: Grey, blur_px: float, scale: int) -> Grey:
    blurred = ndimage.gaussian_filter(clean, blur_px) if blur_px > 0 else clean
    return block_mean(blurred, scale) if scale > 1 else blurred


def _inner(pixels: Grey) -> _Points:
    return pixels[_BORDER_PX:-_BORDER_PX, _BORDER_PX:-_BORDER_PX].astype(np.float64).ravel()


def _fitted_blur(
    pairs: Sequence[ImagePair], counts: _Points, scale: int, progress: Callable[[int], None] | None
) -> float:
    tried = 0

    def left(square: float) -> float:
        nonlocal tried
        tried += 1
        if progress is not None:
            progress(tried)
        blur_px = float(np.sqrt(square))
        clean = np.concatenate([_inner(_blurred(pair.clean, blur_px, scale)) for pair in pairs])
        return _Mean.of(blur_px, clean, counts).left

    sharp = left(0.0)
    # The square of the blur is what adds up, and what the error is smooth in.
    best = optimize.minimize_scalar(
        left, bounds=(0.0, _WIDEST_BLUR_PX**2), method="bounded", options={"xatol": 1e-3}
    )
    gained = counts.size * np.log(max(sharp, 1e-300) / max(float(best.fun), 1e-300))
    return float(np.sqrt(best.x)) if gained > _SIGNIFICANT else 0.0


def _whole(pairs: Sequence[ImagePair], clean: _Points, counts: _Points) -> NDArray[np.bool_]:
    """Mark pixels whose noise the range does not cut: those like which hardly any is at its ends."""
    images = [pair.image for pair in pairs]
    order = np.argsort(clean)
    mean = _Mean.of(0.0, clean, counts)
    gain, _ = _noise_line(mean.slope * clean, (counts - mean.slope * clean - mean.offset) ** 2)
    least = min(float(image.min()) for image in images)
    whole = np.ones(clean.shape, dtype=bool)
    for end in piles(images):
        if end == least and find_dark_pixels(images, end, gain) is not None:
            continue
        for part in np.array_split(order, _BINS):
            whole[part] &= bool(np.mean(counts[part] == end) <= _CUT_SHARE)
    if whole.mean() < _FEWEST_WHOLE:
        raise RecipeError(
            f"{pairs[0].name} and others: expected noise within the detector's range, found it cut off "
            "for most pixels; adjust the detector's offset (black level) and gain"
        )
    return whole


def _noise_line(signal: _Points, squares: _Points) -> tuple[float, float]:
    """Fit gain >= 0 and variance at no signal >= 0, by reweighted least squares over intervals."""
    order = np.argsort(signal)
    levels = np.array([part.mean() for part in np.array_split(signal[order], _BINS)])
    groups = np.array_split(squares[order], _BINS)
    expected = np.full(levels.shape, max(float(squares.mean()), 1e-12))
    gain, base = 0.0, 0.0
    for _ in range(6):
        # Dead pixels would otherwise be most of the variance.
        kept = [group[group <= _OUTLIER * most] for group, most in zip(groups, expected, strict=True)]
        power = np.array([group.mean() if group.size else 0.0 for group in kept])
        design = np.stack((np.maximum(levels, 0), np.ones_like(levels)), axis=1)
        (gain, base), _ = optimize.nnls(design / expected[:, None], power / expected)
        expected = np.maximum(design @ np.array([gain, base]), np.maximum(0.05 * expected, 1e-12))
    return float(gain), float(base)


def _neighbour_correlation(pairs: Sequence[ImagePair], mean: _Mean, scale: int) -> float:
    """Mean correlation of the noise of pixels that touch along y or x."""
    products, powers = 0.0, 0.0
    for pair in pairs:
        noise = pair.image - mean.slope * _blurred(pair.clean, mean.blur_px, scale) - mean.offset
        noise = noise - noise.mean()
        for first, second in ((noise[1:], noise[:-1]), (noise[:, 1:], noise[:, :-1])):
            products += float(np.mean(first * second))
            powers += float(np.mean(noise**2))
    return products / powers if powers > 0 else 0.0
