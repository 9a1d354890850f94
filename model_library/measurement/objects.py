"""Statistics of the objects in a label image, with units."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from model_library.wire.base import Message

SMALLEST_OBJECT_PX = 9
"""Smaller ones are taken for noise: they count towards the area fraction, but not as objects."""

_EIGHT = np.ones((3, 3), dtype=int)
_PER_OCTAVE = 2
"""Histogram classes per doubling of the diameter; fixed edges, so that frames can be added up."""


class SizeHistogram(Message):
    """`counts[i]` objects lie in [`edges[i]`, `edges[i + 1]`), in the unit of the diameters."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]


class Diameters(Message):
    """Distribution of equivalent diameters: those of circles of the objects' areas.

    `measured` objects lie wholly inside the image; those that its edge cuts have no known size.
    """

    measured: int = Field(ge=1)
    mean: float
    median: float
    standard_deviation: float
    percentile_5: float
    percentile_25: float
    percentile_75: float
    percentile_95: float
    histogram: SizeHistogram


class ObjectStatistics(Message):
    """Objects of one class in one image; pixels that touch, also at corners, are one object.

    `number_density_...` counts the objects that touch neither the upper nor the left edge, which
    makes it independent of the frame's size (Gundersen 1977). Figures in nanometres and
    micrometres exist where the pixel size is known, those in pixels where it is not.
    """

    count: int = Field(ge=0)
    touching_border: int = Field(ge=0)
    area_fraction: float = Field(ge=0, le=1)
    number_density_per_um2: float | None = None
    number_density_per_megapixel: float | None = None
    equivalent_diameter_nm: Diameters | None = None
    equivalent_diameter_px: Diameters | None = None


def measure_objects(mask: NDArray[np.bool_], pixel_size_nm: float | None) -> ObjectStatistics:
    """Measure the objects of a mask.

    Parameters
    ----------
    mask
        bool [Y, X], with at least one pixel.
    pixel_size_nm
        Side of a pixel; None where unknown.
    """
    from scipy.ndimage import label

    found: tuple[Any, int] = label(mask, structure=_EIGHT)
    labels = np.asarray(found[0])
    areas_px = np.bincount(labels.ravel(), minlength=found[1] + 1)[1:]
    large = areas_px >= SMALLEST_OBJECT_PX
    cut_before = _among(labels[0], labels[:, 0], found[1])
    cut = cut_before | _among(labels[-1], labels[:, -1], found[1])
    density = float((large & ~cut_before).sum()) / mask.size
    diameters = _diameters(2 * np.sqrt(areas_px[large & ~cut] / np.pi), pixel_size_nm or 1.0)
    known = pixel_size_nm is not None
    return ObjectStatistics(
        count=int(large.sum()),
        touching_border=int((large & cut).sum()),
        area_fraction=float(mask.mean()),
        number_density_per_um2=density * (1000 / pixel_size_nm) ** 2 if pixel_size_nm is not None else None,
        number_density_per_megapixel=None if known else density * 1e6,
        equivalent_diameter_nm=diameters if known else None,
        equivalent_diameter_px=None if known else diameters,
    )


def measure_classes(
    labels: NDArray[np.uint8], classes: Sequence[str], pixel_size_nm: float | None
) -> dict[str, ObjectStatistics]:
    """Measure every class of a label image [Y, X] but the background, by name."""
    return {
        name: measure_objects(labels == index, pixel_size_nm)
        for index, name in enumerate(classes)
        if index > 0
    }


def _among(rows: NDArray[Any], columns: NDArray[Any], count: int) -> NDArray[np.bool_]:
    """Tell, per object, whether it is on one of two edges."""
    seen = np.zeros(count + 1, dtype=bool)
    seen[rows] = True
    seen[columns] = True
    return seen[1:]


def _diameters(diameters_px: NDArray[np.float64], unit_per_px: float) -> Diameters | None:
    if not diameters_px.size:
        return None
    sizes = diameters_px * unit_per_px
    low, quarter, median, three_quarters, high = (
        float(value) for value in np.percentile(sizes, (5, 25, 50, 75, 95))
    )
    first = int(np.floor(np.log2(sizes.min()) * _PER_OCTAVE))
    last = int(np.floor(np.log2(sizes.max()) * _PER_OCTAVE)) + 1
    edges = 2.0 ** (np.arange(first, last + 1) / _PER_OCTAVE)
    places = np.clip(np.searchsorted(edges, sizes, side="right") - 1, 0, len(edges) - 2)
    return Diameters(
        measured=int(sizes.size),
        mean=float(sizes.mean()),
        median=median,
        standard_deviation=float(sizes.std()),
        percentile_5=low,
        percentile_25=quarter,
        percentile_75=three_quarters,
        percentile_95=high,
        histogram=SizeHistogram(
            edges=tuple(float(f"{edge:.6g}") for edge in edges),
            counts=tuple(int(count) for count in np.bincount(places, minlength=len(edges) - 1)),
        ),
    )
