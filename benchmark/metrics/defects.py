"""What a segmentation is for: how many defects, how large, how much of the area; and how wrong it is."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.errors import UnfitImages
from model_library.measurement.objects import Diameters, ObjectStatistics, measure_objects
from model_library.wire.base import Message


class DefectErrors(Message):
    """Statistics of a segmentation against those of the truth.

    Attributes
    ----------
    found, truth
        Both statistics, with units (see `ObjectStatistics`).
    density_error
        Number density found over the true one, less 1; None where the truth has no object.
    mean_diameter_error, median_diameter_error
        Diameter found over the true one, less 1; None where one of them has no whole object.
    size_distribution_distance
        Greatest difference of the cumulative shares over the histogram's fixed edges (Kolmogorov &
        Smirnov's, by classes): 0 for equal distributions, 1 for apart ones; None as above.
    area_fraction_error
        Area fraction found minus the true one, in shares of the image.
    """

    found: ObjectStatistics
    truth: ObjectStatistics
    density_error: float | None
    mean_diameter_error: float | None
    median_diameter_error: float | None
    size_distribution_distance: float | None
    area_fraction_error: float


def defect_errors(
    found: NDArray[Any], truth: NDArray[Any], pixel_size_nm: float | None = None
) -> DefectErrors:
    """Compare the objects of two masks [Y, X] (non-zero = inside).

    Parameters
    ----------
    pixel_size_nm
        Side of a pixel; None where unknown: then sizes are in pixels, densities per megapixel.

    Raises
    ------
    UnfitImages
        The masks differ in shape.
    """
    if found.shape != truth.shape:
        raise UnfitImages(f"expected two masks of one shape, found {found.shape} and {truth.shape}")
    own, actual = (measure_objects(np.asarray(mask != 0), pixel_size_nm) for mask in (found, truth))
    sizes, true_sizes = (_diameters(each) for each in (own, actual))
    both = (sizes, true_sizes) if sizes is not None and true_sizes is not None else None
    return DefectErrors(
        found=own,
        truth=actual,
        density_error=_relative(_density(own), _density(actual)),
        mean_diameter_error=_relative(both[0].mean, both[1].mean) if both else None,
        median_diameter_error=_relative(both[0].median, both[1].median) if both else None,
        size_distribution_distance=_distance(*both) if both else None,
        area_fraction_error=own.area_fraction - actual.area_fraction,
    )


def _density(statistics: ObjectStatistics) -> float:
    by_area = statistics.number_density_per_um2
    return by_area if by_area is not None else statistics.number_density_per_megapixel or 0.0


def _diameters(statistics: ObjectStatistics) -> Diameters | None:
    return statistics.equivalent_diameter_nm or statistics.equivalent_diameter_px


def _relative(found: float, truth: float) -> float | None:
    return found / truth - 1 if truth > 0 else None


def _distance(found: Diameters, truth: Diameters) -> float:
    """Compare cumulative shares at every edge of either histogram; all histograms share fixed edges."""
    edges = np.union1d(found.histogram.edges, truth.histogram.edges)
    below = [_share_below(each, edges) for each in (found, truth)]
    return float(np.max(np.abs(below[0] - below[1])))


def _share_below(diameters: Diameters, edges: NDArray[np.float64]) -> NDArray[np.float64]:
    cumulative = np.concatenate([[0], np.cumsum(diameters.histogram.counts)]) / diameters.measured
    return np.asarray(
        cumulative[np.searchsorted(diameters.histogram.edges, edges, side="right") - 1]
        * (edges >= diameters.histogram.edges[0]),
        dtype=np.float64,
    )
