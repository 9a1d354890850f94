"""Watershed segmentation in two classes, on the unit scale: float32 [Y, X] -> labels [Y, X] (1 = object).

Two readings of Vincent & Soille (1991): basins flooded from sure markers find bodies, and the
lines at which the basins of an image meet find membranes and grain boundaries.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.baselines.denoise import GAUSSIAN, geometric, smooth_gaussian
from benchmark.baselines.family import Family
from model_library.images.frame import Grey

_SIGMAS_PX = GAUSSIAN.grid["sigma_px"][4::2]


def _bodies(pixels: Grey, parameters: Mapping[str, float], _: int) -> Grey:
    """Flood the gradient from pixels that lie clearly on either side of Otsu's threshold."""
    from scipy.ndimage import gaussian_gradient_magnitude
    from skimage.filters import threshold_otsu
    from skimage.segmentation import watershed

    smooth = _upright(smooth_gaussian(pixels, parameters["sigma_px"]), parameters)
    if smooth.min() == smooth.max():
        return np.zeros_like(smooth)
    threshold = float(threshold_otsu(smooth))  # type: ignore[no-untyped-call]
    markers = np.zeros(smooth.shape, dtype=np.int32)
    markers[smooth < threshold - parameters["margin"]] = 1
    markers[smooth > threshold + parameters["margin"]] = 2
    if not markers.any():
        return np.zeros_like(smooth)
    gradient = gaussian_gradient_magnitude(pixels, parameters["sigma_px"])
    flooded: NDArray[Any] = watershed(gradient, markers)  # type: ignore[no-untyped-call]
    return np.asarray(flooded == 2, dtype=np.float32)


def _lines(pixels: Grey, parameters: Mapping[str, float], _: int) -> Grey:
    """Keep the watersheds of the smoothed image that rise above their surroundings, and widen them."""
    from scipy.ndimage import distance_transform_edt, label, minimum_filter
    from skimage.segmentation import watershed

    smooth = _upright(smooth_gaussian(pixels, parameters["sigma_px"]), parameters)
    side = 2 * round(2 * parameters["sigma_px"]) + 3
    markers, basins = label(smooth == minimum_filter(smooth, size=side))
    if basins < 2:
        return np.zeros_like(smooth)
    flooded: NDArray[Any] = watershed(smooth, markers, watershed_line=True)  # type: ignore[no-untyped-call]
    around = smooth_gaussian(smooth, 4 * parameters["sigma_px"])
    lines = (flooded == 0) & (smooth > around + np.float32(parameters["offset"]))
    if not lines.any():
        return np.zeros_like(smooth)
    away = np.asarray(distance_transform_edt(~lines))
    return np.asarray(away <= parameters["width_px"] / 2, dtype=np.float32)


def _upright(pixels: Grey, parameters: Mapping[str, float]) -> Grey:
    """Turn the image so that objects are the brighter part."""
    return pixels if parameters["bright"] else -pixels


_SWITCH = (0.0, 1.0)
WATERSHED = Family(
    "watershed",
    _bodies,
    {"bright": _SWITCH, "sigma_px": _SIGMAS_PX, "margin": (0.0, 0.05, 0.1, 0.15, 0.2, 0.3)},
    {"bright": 1.0, "sigma_px": _SIGMAS_PX[3], "margin": 0.1},
    labels=True,
)
WATERSHED_LINES = Family(
    "watershed-lines",
    _lines,
    {
        "bright": _SWITCH,
        "sigma_px": geometric(0.7, 5.6, 7),
        "offset": (-1.0, 0.0, 0.04, 0.08, 0.12, 0.16),
        "width_px": (1.0, 2.0, 3.0, 4.0, 5.0, 7.0),
    },
    {"bright": 1.0, "sigma_px": geometric(0.7, 5.6, 7)[3], "offset": 0.04, "width_px": 3.0},
    labels=True,
)

WATERSHEDS = (WATERSHED, WATERSHED_LINES)
