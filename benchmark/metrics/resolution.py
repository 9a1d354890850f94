"""Fourier ring correlation: down to which detail two images of one specimen agree."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

ONE_SEVENTH = 1 / 7
"""Threshold of Rosenthal & Henderson 2003."""
NYQUIST = 0.5
"""Highest frequency that pixels can hold, in cycles per pixel."""
_SMOOTHED_RINGS = 3
_UNCERTAIN_RINGS = 3
"""Rings next to the centre that hold too few samples to end a resolution."""
_LEAST_SIDE_PX = 32

Pixels = NDArray[Any]


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
        raise ValueError(
            f"expected images of one shape, {_LEAST_SIDE_PX} px a side or more, found {a.shape}, {b.shape}"
        )
    spectra = [np.fft.rfft2(_windowed(image)) for image in (a, b)]
    side = 2 * (min(a.shape) // 2)
    radius = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None]) * side
    ring = np.rint(radius).astype(np.int64).ravel()
    # The half plane that a real transform gives stands for the other half, save for its two edges.
    weight = np.full((side, side // 2 + 1), 2.0)
    weight[:, [0, -1]] = 1.0
    cross = np.real(spectra[0] * np.conj(spectra[1]))
    power = [np.square(np.abs(each)) for each in spectra]
    sums = [
        np.bincount(ring, (weight * each).ravel())[1 : side // 2 + 1].astype(np.float64)
        for each in (cross, *power, np.ones_like(cross))
    ]
    norm = np.sqrt(sums[1] * sums[2])
    correlation = np.divide(sums[0], norm, out=np.zeros_like(norm), where=norm > 0)
    return RingCorrelation(np.arange(1, side // 2 + 1) / side, correlation, sums[3])


def half_bit(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Half-bit threshold of each ring (van Heel & Schatz 2005)."""
    root = np.sqrt(samples)
    return np.asarray((0.2071 + 1.9102 / root) / (1.2071 + 0.9102 / root), dtype=np.float64)


def crossing(rings: RingCorrelation, threshold: float | NDArray[np.float64] = ONE_SEVENTH) -> float:
    """Frequency, in cycles per pixel, at which the correlation first falls below a threshold.

    The correlation is averaged over three neighbouring rings before, weighted by their samples: single
    rings of few samples fall below by chance, and the innermost ones are not asked at all. Nyquist where it
    never does.
    """
    weights = np.convolve(rings.samples, np.ones(_SMOOTHED_RINGS), mode="same")
    smooth = np.convolve(rings.correlation * rings.samples, np.ones(_SMOOTHED_RINGS), mode="same") / weights
    margin = smooth - threshold
    below = np.flatnonzero(margin[_UNCERTAIN_RINGS:] < 0)
    if not below.size:
        return NYQUIST
    first = _UNCERTAIN_RINGS + int(below[0])
    if margin[first - 1] <= 0:
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


def _windowed(image: Pixels) -> NDArray[np.float64]:
    side = 2 * (min(image.shape) // 2)
    top, left = ((length - side) // 2 for length in image.shape)
    square = np.asarray(image[top : top + side, left : left + side], dtype=np.float64)
    hann = np.hanning(side)
    return np.asarray((square - square.mean()) * hann[:, None] * hann[None], dtype=np.float64)
