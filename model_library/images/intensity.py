"""From counts to the unit scale of networks and back, and from float32 to the dtype of a file."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from model_library.errors import NonFinitePixels, UnsupportedImage
from model_library.images.frame import Grey
from model_library.images.mapping import release

PIXEL_DTYPES = (np.dtype(np.uint8), np.dtype(np.uint16), np.dtype(np.float32))
"""The dtypes that images have in files."""

_COUNTED_AT_ONCE = 1 << 22

LOW_PERCENTILE, HIGH_PERCENTILE = 1.0, 99.0


@dataclass(frozen=True, slots=True)
class Scaling:
    """A linear map between counts and the unit scale on which networks work.

    Attributes
    ----------
    offset
        Counts that become 0.
    gain
        Counts per unit, > 0.
    """

    offset: float
    gain: float

    @classmethod
    def of(
        cls, pixels: NDArray[Any], percentiles: tuple[float, float] = (LOW_PERCENTILE, HIGH_PERCENTILE)
    ) -> "Scaling":
        """Scale so that two percentiles of a whole image become 0 and 1.

        Parameters
        ----------
        pixels
            Axes [Y, X], counts; the whole image, never a tile, so that tiles agree at their seams.
        percentiles
            The lower and the higher one.

        Raises
        ------
        NonFinitePixels
            A percentile is NaN or infinite.
        """
        low, high = _percentiles(pixels, percentiles)
        if not np.isfinite(high - low):
            raise NonFinitePixels(
                f"expected finite grey values, found percentiles {low} and {high}; leave this image out"
            )
        if high <= low:
            # Nearly flat: a few outliers, or nothing at all, give the scale.
            low, high = float(pixels.min()), float(pixels.max())
        return cls(offset=low, gain=high - low if high > low else 1.0)

    @classmethod
    def standard(cls, pixels: NDArray[Any]) -> "Scaling":
        """Scale so that a whole image has mean 0 and standard deviation 1; a flat one keeps its counts.

        Raises
        ------
        NonFinitePixels
            The image holds NaN or infinity.
        """
        mean, deviation = float(pixels.mean(dtype=np.float64)), float(pixels.std(dtype=np.float64))
        if not np.isfinite(deviation):
            raise NonFinitePixels(
                f"expected finite grey values, found a mean of {mean}; leave this image out"
            )
        return cls(offset=mean, gain=deviation if deviation > 0 else 1.0)

    def apply(self, pixels: NDArray[Any]) -> Grey:
        """Turn counts to units; axes [Y, X], any dtype -> float32."""
        return (pixels.astype(np.float32, copy=False) - np.float32(self.offset)) / np.float32(self.gain)

    def invert(self, pixels: Grey) -> Grey:
        """Turn units to counts; axes [Y, X], float32."""
        return pixels.astype(np.float32, copy=False) * np.float32(self.gain) + np.float32(self.offset)


def _percentiles(pixels: NDArray[Any], wanted: tuple[float, float]) -> tuple[float, float]:
    """Take percentiles, interpolated linearly; those of 8 and 16 bit by counting, without a copy."""
    if pixels.dtype not in (np.uint8, np.uint16) or not pixels.size:
        low, high = (float(value) for value in np.percentile(pixels, wanted))
        return low, high
    counts = np.zeros(np.iinfo(pixels.dtype).max + 1, np.int64)
    flat = pixels.reshape(-1)
    # Counting widens what it counts to 64 bit.
    for begin in range(0, flat.size, _COUNTED_AT_ONCE):
        part = flat[begin : begin + _COUNTED_AT_ONCE]
        counts += np.bincount(part, minlength=len(counts))
        release(part)
    ranks = np.cumsum(counts)
    found = []
    for percentile in wanted:
        place = percentile / 100 * (flat.size - 1)
        below, above = np.searchsorted(ranks, [int(place), min(int(place) + 1, flat.size - 1)], side="right")
        found.append(float(below) + (float(above) - float(below)) * (place - int(place)))
    return found[0], found[1]


def to_dtype(pixels: Grey, dtype: DTypeLike) -> NDArray[Any]:
    """Cast float32 counts to the dtype of a file: rounded and clipped for integers.

    Raises
    ------
    NonFinitePixels
        A value is NaN or infinite: casting it would invent a grey value.
    UnsupportedImage
        The dtype is not uint8, uint16 or float32.
    """
    wanted = np.dtype(dtype)
    if wanted not in PIXEL_DTYPES:
        raise UnsupportedImage(
            f"expected dtype uint8, uint16 or float32, found {wanted}; choose one of these"
        )
    refuse_non_finite(pixels, "result")
    if wanted.kind == "f":
        return pixels.astype(wanted, copy=False)
    bounds = np.iinfo(wanted)
    return np.clip(np.rint(pixels), bounds.min, bounds.max).astype(wanted)


def refuse_non_finite(pixels: NDArray[Any], name: str) -> None:
    """Refuse an image with NaN or infinite values.

    Raises
    ------
    NonFinitePixels
        How many values are not finite is in the message.
    """
    if pixels.dtype.kind != "f":
        return
    bad = int(pixels.size - np.count_nonzero(np.isfinite(pixels)))
    if bad:
        raise NonFinitePixels(
            f"{name}: expected finite grey values, found {bad} of {pixels.size} NaN or infinite; "
            "leave this image out or mask these pixels before export"
        )
