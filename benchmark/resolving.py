"""`synoptic benchmark resolution`: down to which detail an acquisition resolves its specimen."""

from dataclasses import dataclass
from pathlib import Path

from benchmark.errors import BenchmarkError
from benchmark.metrics.resolution import (
    ONE_SEVENTH,
    crossing,
    frc_resolution_single,
    half_bit,
    ring_correlation,
)
from model_library.images.readers import read_micrograph

_LEAST_SIDE_PX = 64


@dataclass(frozen=True)
class Resolved:
    """The finest period, in pixels, and in nanometres where the file tells the pixel size."""

    period_px: float
    period_nm: float | None
    how: str


def resolve(first: Path, second: Path | None, *, by_half_bit: bool = False) -> Resolved:
    """Measure the resolution of a micrograph, by itself or against a second acquisition of the same place.

    Parameters
    ----------
    first, second
        As acquired. What a network made shares the network's prior: its resolution would be inflated.
    by_half_bit
        The threshold of two acquisitions: half-bit instead of 1/7.

    Raises
    ------
    BenchmarkError
        The images are too small or of different shapes, or half-bit is asked of a single one.
    ImageError
        A file cannot be read.
    """
    frame = read_micrograph(first)
    if min(frame.pixels.shape) < _LEAST_SIDE_PX:
        raise BenchmarkError(
            f"{first.name}: expected {_LEAST_SIDE_PX} px a side or more, found {frame.pixels.shape}; give a"
            " larger image"
        )
    if second is None:
        if by_half_bit:
            raise BenchmarkError(
                "expected two acquisitions for the half-bit threshold, found one: its calibration is for 1/7"
            )
        period, how = frc_resolution_single(frame.grey), "one image, checkerboard halves, 1/7"
    else:
        other = read_micrograph(second)
        if other.pixels.shape != frame.pixels.shape:
            raise BenchmarkError(
                f"expected two acquisitions of one shape, found {frame.pixels.shape} and {other.pixels.shape}"
            )
        rings = ring_correlation(frame.grey, other.grey)
        threshold = half_bit(rings.samples) if by_half_bit else ONE_SEVENTH
        period = 1 / crossing(rings, threshold)
        how = f"two acquisitions, {'half-bit' if by_half_bit else '1/7'}"
    size = frame.pixel_size_nm
    return Resolved(period, period * size if size is not None else None, how)
