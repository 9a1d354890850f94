"""Grey values at which pixels pile up: the ends of a detector's range, or pixels that no electron reached.

At a few electrons per pixel many pixels count none, so grey values pile up at the least one as they do in
saturation. Two things tell them apart. Multiples of one electron leave a valley between none and one, as
noise that is cut at black does not; and the share of empty pixels follows from the mean, exp(-electrons),
as in no other noise.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from model_library.images.frame import Grey

_PILED_SHARE = 2e-4
"""Where this share of all pixels has the least or the greatest grey value, they pile up."""
_CUT = 0.15
"""Share of the neighbourhood at the end of the range, above which the noise of a pixel is cut."""
_MEAN_SIGMA_PX = 2.0
_VALLEY = (0.35, 0.65)
"""Electrons between none and one, where no pixel is unless read noise is as strong as an electron."""
_SHALLOW = 0.5
"""Density in the valley relative to that beside it, above which electrons are not resolved."""
_TOLERANCE = 1.4
"""Factor by which the dose may be off for the share of empty pixels to fit."""
_READ_NOISE_SHARE = 0.05
"""Pixels beside the pile but nearer to none than to one electron, relative to the pile: read noise."""
_SOLID_PX = 11
"""Side of a window in which, down to a tenth of an electron per pixel, not all pixels are empty."""


@dataclass(frozen=True, slots=True)
class DarkPixels:
    """The grey value of pixels without an electron, in counts, and whether read noise blurs it."""

    level: float
    blurred: bool


def piles(images: Sequence[Grey]) -> list[float]:
    """Return the ends of the range of grey values at which pixels [Y, X] pile up, in counts."""
    ends = (min(float(image.min()) for image in images), max(float(image.max()) for image in images))
    total = sum(image.size for image in images)
    return [end for end in ends if sum(int((image == end).sum()) for image in images) > _PILED_SHARE * total]


def cut_at(image: Grey, end: float) -> NDArray[np.bool_]:
    """Mark pixels [Y, X] so close to those at an end of the range that part of their noise is cut off."""
    return np.asarray(ndimage.uniform_filter((image == end).astype(np.float32), 5) >= _CUT)


def solid_at(image: Grey, end: float) -> NDArray[np.bool_]:
    """Mark pixels [Y, X] in and beside solid patches of one grey value, such as a frame or a data bar."""
    least = ndimage.minimum_filter(image == end, _SOLID_PX)
    return np.asarray(ndimage.maximum_filter(least, 2 * _SOLID_PX - 3))


def cut_share(images: Sequence[Grey], ends: Sequence[float]) -> float:
    """Share of the pixels outside solid patches whose noise is cut at one of the ends."""
    cut = rest = 0
    for image in images:
        open_places = np.ones(image.shape, dtype=bool)
        touched = np.zeros(image.shape, dtype=bool)
        for end in ends:
            open_places &= ~solid_at(image, end)
            touched |= cut_at(image, end)
        rest += int(open_places.sum())
        cut += int((touched & open_places).sum())
    return cut / rest if rest else 0.0


def find_dark_pixels(images: Sequence[Grey], pile: float, gain: float) -> DarkPixels | None:
    """Judge whether the pixels that pile up at the least grey value are those without an electron.

    Parameters
    ----------
    images
        float32 [Y, X] each, in counts.
    pile
        The grey value, in counts.
    gain
        Counts per electron, as measured on the premise that they are.

    Returns
    -------
    DarkPixels or None
        None where the detector's range cuts the noise, or where that cannot be excluded.
    """
    places = [~solid_at(image, pile) for image in images]
    if gain <= 0 or not any(place.any() for place in places):
        return None
    electrons = _in_electrons([image[place] for image, place in zip(images, places, strict=True)], pile, gain)
    means = [
        ndimage.gaussian_filter(image, _MEAN_SIGMA_PX)[place]
        for image, place in zip(images, places, strict=True)
    ]
    expected = np.clip(_in_electrons(means, pile, gain), 0, None)
    empty = float(np.mean(electrons < 0.5))
    fits = np.exp(-_TOLERANCE * expected).mean() <= empty <= np.exp(-expected / _TOLERANCE).mean()
    low, high = _VALLEY
    beside = min(_density(electrons, -low, low), _density(electrons, high, 2 - high))
    resolved = _density(electrons, low, high) < _SHALLOW * beside
    if not (fits and resolved):
        return None
    piled = float(np.mean(electrons == 0))
    return DarkPixels(pile, blurred=empty - piled > _READ_NOISE_SHARE * piled)


def _in_electrons(parts: Sequence[Grey], pile: float, gain: float) -> Grey:
    return np.asarray((np.concatenate(parts) - np.float32(pile)) / np.float32(gain))


def _density(electrons: Grey, low: float, high: float) -> float:
    return float(np.mean((electrons >= low) & (electrons < high))) / (high - low)
