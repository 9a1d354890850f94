"""Classical enlargement, on the unit scale: float32 [Y, X] -> float32 [Y * scale, X * scale].

A pixel is taken for the mean over its area, so output and input areas coincide: pixel i of the
output lies at (i + 0.5) / scale - 0.5 of the input.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from benchmark.baselines.denoise import GAUSSIAN, TV, geometric, smooth_gaussian, smooth_tv
from benchmark.baselines.family import Family
from model_library.degradation.operators import block_mean
from model_library.images.frame import Grey

Kernel = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def keys_cubic(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cubic convolution kernel with a = -0.5 (Keys 1981), support 2 px: "bicubic" in two dimensions."""
    x = np.abs(distance)
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


def lanczos3(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sinc windowed by its own central lobe, support 3 px (Duchon 1979)."""
    return np.where(np.abs(distance) < 3, np.sinc(distance) * np.sinc(distance / 3), 0.0)


def enlarge(pixels: Grey, scale: int, kernel: Kernel, support_px: int) -> Grey:
    """Interpolate along both axes; the border repeats the image in a mirror."""
    for axis in (0, 1):
        pixels = _along(pixels, axis, scale, kernel, support_px)
    return pixels


def _along(pixels: Grey, axis: int, scale: int, kernel: Kernel, support_px: int) -> Grey:
    before = [(support_px, support_px) if axis == each else (0, 0) for each in (0, 1)]
    padded = np.moveaxis(np.pad(pixels, before, mode="symmetric"), axis, 0)
    length = pixels.shape[axis]
    enlarged = np.empty((length * scale, padded.shape[1]), dtype=np.float32)
    for phase in range(scale):
        place = (phase + 0.5) / scale - 0.5
        taps = np.arange(-support_px, support_px + 1)
        weights = kernel(taps.astype(np.float64) - place)
        weights /= weights.sum()
        enlarged[phase::scale] = sum(
            np.float32(weight) * padded[support_px + tap : support_px + tap + length]
            for tap, weight in zip(taps.tolist(), weights, strict=True)
            if weight
        )
    return np.moveaxis(enlarged, 0, axis)


def _bicubic(pixels: Grey, _: Mapping[str, float], scale: int) -> Grey:
    return enlarge(pixels, scale, keys_cubic, 2)


def _lanczos(pixels: Grey, _: Mapping[str, float], scale: int) -> Grey:
    return enlarge(pixels, scale, lanczos3, 3)


def _gaussian_bicubic(pixels: Grey, parameters: Mapping[str, float], scale: int) -> Grey:
    return enlarge(smooth_gaussian(pixels, parameters["sigma_px"]), scale, keys_cubic, 2)


def _tv_bicubic(pixels: Grey, parameters: Mapping[str, float], scale: int) -> Grey:
    return enlarge(smooth_tv(pixels, parameters["strength"]), scale, keys_cubic, 2)


def _richardson_lucy(pixels: Grey, parameters: Mapping[str, float], scale: int) -> Grey:
    """Deconvolve a pixel's area and a Gaussian spread (Richardson 1972, Lucy 1974), on the fine grid.

    Starts from the bicubic enlargement of the smoothed image. A few steps sharpen, many amplify noise:
    their number is tuned like any other strength.
    """
    smooth = smooth_gaussian(pixels, parameters["sigma_px"])
    # Intensities have to be positive: the darkest pixel stands for next to no light.
    floor = np.float32(smooth.min() - _DARK)
    seen = smooth - floor
    estimate = np.maximum(enlarge(seen, scale, keys_cubic, 2), _DARK)
    spread_px = parameters["spread_px"]
    for _ in range(round(parameters["steps"])):
        ratio = seen / block_mean(smooth_gaussian(estimate, spread_px), scale)
        fine = np.repeat(np.repeat(ratio, scale, axis=0), scale, axis=1)
        estimate *= smooth_gaussian(fine, spread_px)
    return estimate + floor


_DARK = np.float32(0.05)

BICUBIC = Family("bicubic", _bicubic, {}, {})
LANCZOS = Family("lanczos", _lanczos, {}, {})
GAUSSIAN_BICUBIC = Family("gaussian-bicubic", _gaussian_bicubic, GAUSSIAN.grid, GAUSSIAN.start)
TV_BICUBIC = Family(
    "tv-bicubic", _tv_bicubic, {"strength": TV.grid["strength"]}, {"strength": TV.start["strength"]}
)
RICHARDSON_LUCY = Family(
    "richardson-lucy",
    _richardson_lucy,
    {
        "sigma_px": GAUSSIAN.grid["sigma_px"][:12],
        "spread_px": geometric(0.35, 2.8, 7),
        "steps": (1.0, 2.0, 4.0, 8.0, 16.0),
    },
    {"sigma_px": GAUSSIAN.grid["sigma_px"][5], "spread_px": geometric(0.35, 2.8, 7)[3], "steps": 2.0},
)

ENLARGERS = (BICUBIC, LANCZOS, GAUSSIAN_BICUBIC, TV_BICUBIC, RICHARDSON_LUCY)
