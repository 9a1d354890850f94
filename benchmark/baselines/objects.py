"""Objects and cells told apart, on the unit scale: float32 [Y, X] -> a number for each, float32 [Y, X].

They work on micrographs, and just as well on a network's class probability: a bright thing is what is
looked for in either.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.baselines.denoise import geometric, smooth_gaussian
from benchmark.baselines.family import Family
from model_library.images.frame import Grey

_SWITCH = (0.0, 1.0)


def _cells(pixels: Grey, parameters: Mapping[str, float], _: int) -> Grey:
    """Take what lies below a threshold for cells, and let them grow until they meet.

    The growth (a watershed of the image from those seeds) thins the membranes away.
    """
    from scipy.ndimage import label
    from skimage.segmentation import watershed

    smooth = smooth_gaussian(pixels if parameters["bright"] else 1 - pixels, parameters["sigma_px"])
    seeds, count = label(smooth < parameters["level"])
    seeds = _without_small(seeds, parameters["least_px"])
    if count == 0 or not seeds.any():
        return np.ones_like(smooth)
    grown: NDArray[Any] = watershed(smooth, seeds)  # type: ignore[no-untyped-call]
    return grown.astype(np.float32)


def _objects(pixels: Grey, parameters: Mapping[str, float], _: int) -> Grey:
    """Part what lies above Otsu's threshold where it is narrow; the largest object is number 1.

    Every hill of the smoothed distance to the border is one object (Vincent & Soille 1991).
    """
    from scipy.ndimage import distance_transform_edt, gaussian_filter
    from skimage.feature import peak_local_max
    from skimage.filters import threshold_otsu
    from skimage.segmentation import watershed

    smooth = smooth_gaussian(pixels if parameters["bright"] else -pixels, parameters["sigma_px"])
    if smooth.min() == smooth.max():
        return np.zeros_like(smooth)
    threshold = float(threshold_otsu(smooth))  # type: ignore[no-untyped-call]
    inside = smooth > threshold + parameters["offset"]
    depth = gaussian_filter(np.asarray(distance_transform_edt(inside)), parameters["apart_px"] / 4)
    peaks: NDArray[Any] = peak_local_max(  # type: ignore[no-untyped-call]
        depth,
        min_distance=round(parameters["apart_px"]),
        labels=inside.astype(np.int32),
        exclude_border=False,
    )
    seeds = np.zeros(smooth.shape, dtype=np.int32)
    seeds[tuple(peaks.T)] = 1 + np.arange(len(peaks))
    found: NDArray[Any] = watershed(-depth, seeds, mask=inside)  # type: ignore[no-untyped-call]
    return _largest_first(_without_small(found, parameters["least_px"]))


def _without_small(labels: NDArray[Any], least_px: float) -> NDArray[Any]:
    areas = np.bincount(labels.ravel())
    return np.where(areas[labels] >= least_px, labels, 0)


def _largest_first(labels: NDArray[Any]) -> Grey:
    """Give the objects numbers from 1, the largest first."""
    areas = np.bincount(labels.ravel())
    areas[0] = 0
    order = np.argsort(-areas, kind="stable")
    numbers = np.zeros(len(areas), dtype=np.float32)
    numbers[order] = 1 + np.arange(len(areas))
    numbers[areas == 0] = 0
    return np.asarray(numbers[labels], dtype=np.float32)


CELLS = Family(
    "grown-cells",
    _cells,
    {
        "bright": _SWITCH,
        "sigma_px": (0.0, *geometric(0.5, 6.0, 8)),
        "level": tuple(round(0.05 * step, 2) for step in range(1, 18)),
        "least_px": (0.0, 15.0, 60.0, 250.0),
    },
    {"bright": 1.0, "sigma_px": geometric(0.5, 6.0, 8)[3], "level": 0.4, "least_px": 15.0},
    labels=True,
)
OBJECTS = Family(
    "parted-objects",
    _objects,
    {
        "bright": _SWITCH,
        "sigma_px": (0.0, *geometric(0.7, 5.6, 7)),
        "offset": tuple(round(0.05 * step, 2) for step in range(-6, 7)),
        "apart_px": geometric(3, 36, 8),
        "least_px": (0.0, 15.0, 60.0, 250.0),
    },
    {
        "bright": 1.0,
        "sigma_px": geometric(0.7, 5.6, 7)[2],
        "offset": 0.0,
        "apart_px": geometric(3, 36, 8)[4],
        "least_px": 60.0,
    },
    labels=True,
)
