"""Fourier ring correlation: down to which detail two images of one specimen agree."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.fft import rfft2

from benchmark.compiled import worth_compiling
from benchmark.errors import UnfitImages
from benchmark.metrics.pointwise import Pixels

ONE_SEVENTH = 1 / 7
"""Threshold of Rosenthal & Henderson 2003."""
NYQUIST = 0.5
"""Highest frequency that pixels can hold, in cycles per pixel."""
_SMOOTHED_RINGS = 3
_UNCERTAIN_RINGS = 3
"""Rings next to the centre that hold too few samples to end a resolution."""
_LEAST_SIDE_PX = 32


@dataclass(frozen=True, slots=True)
class RingCorrelation:
    """Correlation per ring of the Fourier plane.

    Attributes
    ----------
    frequency
        float64 [R], cycles per pixel, ascending, without 0.
    correlation
        float64 [R], in [-1, 1].
    samples
        float64 [R], Fourier coefficients in the ring (the whole plane).
    """

    frequency: NDArray[np.float64]
    correlation: NDArray[np.float64]
    samples: NDArray[np.float64]


def ring_correlation(a: Pixels, b: Pixels) -> RingCorrelation:
    """Correlate two images ring by ring (Saxton & Baumeister 1982).

    Parameters
    ----------
    a, b
        Axes [Y, X], one shape, 32 px a side or more; of an oblong the middle square is used. A Hann window
        keeps their edges from correlating.
    """
    if a.shape != b.shape or min(a.shape) < _LEAST_SIDE_PX:
        raise UnfitImages(
            f"expected images of one shape, {_LEAST_SIDE_PX} px a side or more, found {a.shape}, {b.shape}"
        )
    side = 2 * (min(a.shape) // 2)
    plane = _plane(side)
    first, second = (_spectrum(image, plane.hann) for image in (a, b))
    cross, power_a, power_b = _ring_sums(first, second, plane)[:, 1:]
    norm = np.sqrt(power_a * power_b)
    correlation = np.divide(cross, norm, out=np.zeros_like(norm), where=norm > 0)
    return RingCorrelation(np.arange(1, side // 2 + 1) / side, correlation, plane.samples[1:])


def half_bit(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Half-bit threshold of each ring (van Heel & Schatz 2005)."""
    root = np.sqrt(samples)
    return np.asarray((0.2071 + 1.9102 / root) / (1.2071 + 0.9102 / root), dtype=np.float64)


def crossing(rings: RingCorrelation, threshold: float | NDArray[np.float64] = ONE_SEVENTH) -> float:
    """Frequency, in cycles per pixel, at which the correlation first falls below a threshold.

    The mean of three neighbouring rings, weighted by their samples, has to be below: single rings of few
    samples fall below by chance, and the innermost ones are not asked at all. Between the rings around the
    fall it is interpolated. Nyquist where there is none.
    """
    weights = np.convolve(rings.samples, np.ones(_SMOOTHED_RINGS), mode="same")
    smooth = np.convolve(rings.correlation * rings.samples, np.ones(_SMOOTHED_RINGS), mode="same") / weights
    below = np.flatnonzero((smooth - threshold)[_UNCERTAIN_RINGS:] < 0)
    if not below.size:
        return NYQUIST
    first = _UNCERTAIN_RINGS + int(below[0])
    # Averaging carries the fall outwards: it is looked for in the rings themselves, from there inwards.
    margin = rings.correlation - threshold
    while first > _UNCERTAIN_RINGS and margin[first - 1] < 0:
        first -= 1
    if margin[first - 1] <= 0 or margin[first] >= 0:
        return float(rings.frequency[first - 1])
    share = margin[first - 1] / (margin[first - 1] - margin[first])
    step = rings.frequency[first] - rings.frequency[first - 1]
    return float(rings.frequency[first - 1] + share * step)


def frc_resolution(a: Pixels, b: Pixels) -> float:
    """Finest period at which two images agree, in pixels: 1 / (first crossing of 1/7); never below 2."""
    return 1 / crossing(ring_correlation(a, b))


def frc_resolution_single(image: Pixels) -> float:
    """Resolution of one image, in its pixels, from its own checkerboard halves; never below 2.

    Koho et al., Nat. Commun. 10, 3103 (2019): both diagonal pairs of the four interleaved images are
    correlated and averaged, and the period, counted in pixels of the halves, is divided by their
    calibration against two-image measurements. It holds to some 20 % for detail coarser than 4 pixels;
    finer detail is folded over in the halves and comes out too coarse. White noise is assumed: of an image
    that a network or a filter made it measures smoothness, not resolution.

    Parameters
    ----------
    image
        Axes [Y, X], 64 px a side or more, as acquired.
    """
    rows, columns = (side // 2 * 2 for side in image.shape)
    parts = [[image[y:rows:2, x:columns:2] for x in (0, 1)] for y in (0, 1)]
    diagonal = ring_correlation(parts[0][0], parts[1][1])
    reverse = ring_correlation(parts[0][1], parts[1][0])
    mean = (diagonal.correlation + reverse.correlation) / 2
    share = crossing(RingCorrelation(diagonal.frequency, mean, diagonal.samples)) / NYQUIST
    correction = 0.95988 * np.exp(13.904 * (share - 0.97979)) + 0.55146
    return max(1 / NYQUIST, float(2 / share / correction))


@dataclass(frozen=True, slots=True)
class _Plane:
    """What depends on the side alone: the window, each coefficient's ring, and the rings' samples."""

    hann: NDArray[np.float32]
    ring: NDArray[np.int32]
    samples: NDArray[np.float64]


@lru_cache(maxsize=2)
def _plane(side: int) -> _Plane:
    rings = side // 2 + 1
    radius = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None]) * side
    ring = np.rint(radius).astype(np.int32)
    return _Plane(np.hanning(side).astype(np.float32), ring, _whole_plane(ring, np.ones(ring.shape))[:rings])


def _spectrum(image: Pixels, hann: NDArray[np.float32]) -> NDArray[np.complex64]:
    """Transform the windowed middle square, in single precision: its rounding lies far below any noise."""
    side = len(hann)
    top, left = ((length - side) // 2 for length in image.shape)
    square = np.asarray(image[top : top + side, left : left + side])
    mean = square.mean(dtype=np.float64)
    # In two steps, because single precision leaves a remainder of the mean, which the window would spread.
    rough = np.float32(mean)
    exact = square.dtype == np.float32 or square.dtype.itemsize <= 2
    centred = (square - (rough if exact else np.float64(rough))).astype(np.float32, copy=False)
    centred -= np.float32(mean - rough)
    centred *= hann[:, None]
    centred *= hann[None]
    return np.asarray(rfft2(centred, overwrite_x=True), dtype=np.complex64)


def _ring_sums(a: NDArray[np.complex64], b: NDArray[np.complex64], plane: _Plane) -> NDArray[np.float64]:
    """Cross power and both powers of every ring, [3, side // 2 + 1]."""
    rings = len(plane.samples)
    if worth_compiling(a.size):
        from benchmark.metrics.ring_kernel import ring_sums

        return ring_sums(a, b, plane.ring, rings)
    parts = (np.real(a * np.conj(b)), np.square(np.abs(a)), np.square(np.abs(b)))
    return np.stack([_whole_plane(plane.ring, part)[:rings] for part in parts])


def _whole_plane(ring: NDArray[np.int32], values: Pixels) -> NDArray[np.float64]:
    """Add up per ring; the half plane stands for the other half too, save for its two edges."""
    twice = np.bincount(ring.ravel(), values.ravel()) * 2
    edges = [0, -1]
    once = np.bincount(ring[:, edges].ravel(), values[:, edges].ravel(), minlength=len(twice))
    return np.asarray(twice - once, dtype=np.float64)
