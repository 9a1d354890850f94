"""One acquisition of counted events made into two independent ones."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.errors import UncalibratedCounts
from benchmark.metrics.resolution import crossing, ring_correlation
from model_library.degradation.noise import NoiseModel, estimate_noise

_TOLERANCE = 0.2
"""Share by which the variance may differ from the mean, either way; it is measured to some 10 %."""
_LEVELS = (25, 50, 75)


def events_of(pixels: NDArray[Any], gain: float, offset: float) -> NDArray[np.int64]:
    """Turn grey values [Y, X] into whole counts of events >= 0: (pixels - offset) / gain, rounded.

    Parameters
    ----------
    gain
        Grey values per event (electron, photon).
    offset
        Grey value without any event.
    """
    events = np.rint((np.asarray(pixels, dtype=np.float64) - offset) / gain)
    return np.maximum(events, 0).astype(np.int64)


def binomial_halves(
    counts: NDArray[Any], rng: np.random.Generator, noise: NoiseModel | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give every event to one of two halves by a fair coin: Poisson counts give independent halves.

    Of grey values with another gain, or with an offset, the halves are not independent: their ring
    correlation never falls, and the resolution would come out as the pixel's.

    Parameters
    ----------
    counts
        Axes [Y, X], whole numbers of events.
    rng
        Tosses the coins.
    noise
        Measured noise of `counts`, for a caller that knows it; by default it is measured on them.

    Raises
    ------
    UncalibratedCounts
        The pixels are no whole numbers >= 0, or their variance is not their mean.
    UnsupportedImage
        Their noise cannot be measured.
    """
    events = np.asarray(counts)
    whole = np.issubdtype(events.dtype, np.integer) or bool(np.all(events == np.rint(events)))
    if not whole or events.size == 0 or events.min() < 0:
        raise UncalibratedCounts(
            "expected whole numbers of events, 0 or more, found other grey values; subtract the detector's"
            " offset and divide by its gain first (events_of), or split by checkerboard"
        )
    grey = events.astype(np.float32)
    law = noise or estimate_noise([grey])
    levels = np.percentile(grey, _LEVELS).astype(np.float32)
    ratios = law.variance(levels) / np.maximum(levels, np.float32(1))
    if ratios.min() < 1 - _TOLERANCE or ratios.max() > 1 + _TOLERANCE:
        raise UncalibratedCounts(
            f"expected a variance equal to the mean, as events have, found {ratios.min():.2f} to"
            f" {ratios.max():.2f} times the mean; subtract the detector's offset and divide by its gain first"
            " (events_of), or split by checkerboard"
        )
    first = rng.binomial(events.astype(np.int64), 0.5)
    return first, events.astype(np.int64) - first


def frc_resolution_counts(
    counts: NDArray[Any], rng: np.random.Generator, noise: NoiseModel | None = None
) -> float:
    """Finest period, in pixels, at which the binomial halves of one acquisition agree (1/7).

    Each half has half the dose: the whole resolves a little more. Refusals as in `binomial_halves`.
    """
    return 1 / crossing(ring_correlation(*binomial_halves(counts, rng, noise)))
