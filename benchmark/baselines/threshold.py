"""Classical segmentation in two classes, on the unit scale: float32 [Y, X] -> labels [Y, X] (1 = object)."""

from collections.abc import Mapping

import numpy as np

from benchmark.baselines.denoise import GAUSSIAN, geometric, smooth_gaussian
from benchmark.baselines.family import Family
from model_library.images.frame import Grey


def _otsu(pixels: Grey, parameters: Mapping[str, float], _: int) -> Grey:
    """Otsu's threshold (1979) of the smoothed image."""
    from skimage.filters import threshold_otsu

    smooth = smooth_gaussian(pixels, parameters["sigma_px"])
    if smooth.min() == smooth.max():
        return np.zeros_like(smooth)
    threshold = float(threshold_otsu(smooth))  # type: ignore[no-untyped-call]
    return _side(smooth, np.full_like(smooth, threshold), parameters)


def _local(pixels: Grey, parameters: Mapping[str, float], _: int) -> Grey:
    """Threshold at the local mean plus an offset in unit scale."""
    smooth = smooth_gaussian(pixels, parameters["sigma_px"])
    return _side(
        smooth,
        smooth_gaussian(pixels, parameters["around_px"]) + np.float32(parameters["offset"]),
        parameters,
    )


def _side(pixels: Grey, threshold: Grey, parameters: Mapping[str, float]) -> Grey:
    return (pixels > threshold if parameters["bright"] else pixels < threshold).astype(np.float32)


_SWITCH = (0.0, 1.0)
OTSU = Family(
    "otsu", _otsu, {"bright": _SWITCH, **GAUSSIAN.grid}, {"bright": 1.0, **GAUSSIAN.start}, labels=True
)
LOCAL_THRESHOLD = Family(
    "local-threshold",
    _local,
    {
        "bright": _SWITCH,
        **GAUSSIAN.grid,
        "around_px": geometric(8, 64, 7),
        "offset": tuple(round(0.04 * step, 2) for step in range(-6, 7)),
    },
    {"bright": 1.0, **GAUSSIAN.start, "around_px": geometric(8, 64, 7)[3], "offset": 0.0},
    labels=True,
)

THRESHOLDS = (OTSU, LOCAL_THRESHOLD)
