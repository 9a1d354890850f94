"""Classical denoisers, on the unit scale: float32 [Y, X] -> float32 [Y, X]."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from benchmark.baselines.family import Family
from benchmark.baselines.noise_level import Stabiliser, noise_level
from benchmark.baselines.total_variation import total_variation
from model_library.images.frame import Grey

_BORDER_PX = 16
_SHIFTS_PX = ((0, 0), (1, 3), (2, 2), (3, 1))


def smooth_gaussian(pixels: Grey, sigma_px: float) -> Grey:
    """Gaussian average of standard deviation `sigma_px`."""
    from scipy.ndimage import gaussian_filter

    return np.asarray(gaussian_filter(pixels, sigma_px, mode="reflect"), dtype=np.float32)


def smooth_tv(pixels: Grey, strength: float) -> Grey:
    """Total variation with a weight of `strength` times the noise."""
    return total_variation(pixels, strength * noise_level(pixels))


def _gaussian(pixels: Grey, parameters: Mapping[str, float], _: int) -> Grey:
    return smooth_gaussian(pixels, parameters["sigma_px"])


def _median(pixels: Grey, parameters: Mapping[str, float], _: int) -> Grey:
    from scipy.ndimage import median_filter

    return np.asarray(
        median_filter(pixels, size=round(parameters["size_px"]), mode="reflect"), dtype=np.float32
    )


def _tv(pixels: Grey, parameters: Mapping[str, float], _: int) -> Grey:
    return _stabilised(pixels, parameters, lambda flat: smooth_tv(flat, parameters["strength"]))


def _wavelet(pixels: Grey, parameters: Mapping[str, float], _: int) -> Grey:
    return _stabilised(pixels, parameters, lambda flat: _shrink(flat, parameters["strength"]))


def _shrink(pixels: Grey, strength: float) -> Grey:
    """BayesShrink (Chang et al. 2000), averaged over shifts (Coifman & Donoho 1995)."""
    from skimage.restoration import denoise_wavelet

    sigma = strength * noise_level(pixels)
    padded = np.pad(pixels, _BORDER_PX, mode="symmetric")
    total = np.zeros_like(padded)
    for shift in _SHIFTS_PX:
        shrunk = denoise_wavelet(
            np.roll(padded, shift, (0, 1)),
            sigma=sigma,
            wavelet="sym4",
            method="BayesShrink",
            rescale_sigma=False,
        )
        total += np.roll(shrunk, (-shift[0], -shift[1]), (0, 1))
    inner = slice(_BORDER_PX, -_BORDER_PX)
    return (total[inner, inner] / len(_SHIFTS_PX)).astype(np.float32)


def _nlm(pixels: Grey, parameters: Mapping[str, float], _: int) -> Grey:
    return _stabilised(pixels, parameters, lambda flat: _average_alike(flat, parameters))


def _average_alike(pixels: Grey, parameters: Mapping[str, float]) -> Grey:
    """Non-local means (Buades et al. 2005) with the noise taken off the patch distances."""
    from skimage.restoration import denoise_nl_means

    sigma = noise_level(pixels)
    patch = round(parameters["patch_px"])
    found: Any = denoise_nl_means(
        pixels,
        patch_size=patch,
        patch_distance=5,
        h=parameters["strength"] * sigma,
        sigma=sigma,
        fast_mode=True,
    )
    return np.asarray(found, dtype=np.float32)


def _wiener(pixels: Grey, parameters: Mapping[str, float], _: int) -> Grey:
    """Local Wiener filter (Lee 1980): shrink towards the local mean by the local signal-to-noise ratio."""
    from scipy.ndimage import gaussian_filter

    sigma_px = parameters["sigma_px"]
    noise = (parameters["strength"] * noise_level(pixels)) ** 2
    mean = gaussian_filter(pixels, sigma_px, mode="reflect")
    variance = gaussian_filter(np.square(pixels - mean), sigma_px, mode="reflect")
    share = np.maximum(variance - noise, 0) / np.maximum(variance, noise)
    return np.asarray(mean + share * (pixels - mean), dtype=np.float32)


def _stabilised(pixels: Grey, parameters: Mapping[str, float], smooth: Callable[[Grey], Grey]) -> Grey:
    """Smooth, on a scale on which the noise is the same everywhere if it grows with the mean."""
    if not parameters["growth"]:
        return smooth(pixels)
    stabiliser = Stabiliser(parameters["growth"])
    flat = stabiliser.apply(pixels)
    return stabiliser.invert(smooth(flat), noise_level(flat))


def geometric(low: float, high: float, steps: int) -> tuple[float, ...]:
    """Grid of `steps` values from `low` to `high` in equal ratios, rounded so that records read well."""
    return tuple(float(f"{value:.4g}") for value in np.geomspace(low, high, steps))


_STRENGTHS = geometric(0.1, 6.4, 19)
_NLM_STRENGTHS = geometric(0.2, 2.4, 8)
_WIDTHS_PX = geometric(0.3, 6.0, 19)
_GROWTHS = (0.0, 1.0, 3.0, 9.0)

GAUSSIAN = Family("gaussian", _gaussian, {"sigma_px": _WIDTHS_PX}, {"sigma_px": _WIDTHS_PX[8]})
MEDIAN = Family("median", _median, {"size_px": (1.0, 3.0, 5.0, 7.0, 9.0)}, {"size_px": 3.0})
TV = Family(
    "tv", _tv, {"strength": _STRENGTHS, "growth": _GROWTHS}, {"strength": _STRENGTHS[10], "growth": 0.0}
)
WAVELET = Family(
    "wavelet",
    _wavelet,
    {"strength": _STRENGTHS, "growth": _GROWTHS},
    {"strength": _STRENGTHS[10], "growth": 0.0},
)
NLM = Family(
    "nlm",
    _nlm,
    {"strength": _NLM_STRENGTHS, "patch_px": (5.0, 7.0), "growth": (0.0, 3.0)},
    {"strength": _NLM_STRENGTHS[3], "patch_px": 7.0, "growth": 0.0},
)
WIENER = Family(
    "wiener",
    _wiener,
    {"strength": _STRENGTHS, "sigma_px": _WIDTHS_PX},
    {"strength": _STRENGTHS[10], "sigma_px": _WIDTHS_PX[11]},
)

DENOISERS = (GAUSSIAN, MEDIAN, TV, WAVELET, NLM, WIENER)
