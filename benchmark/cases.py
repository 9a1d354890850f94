"""What methods are scored on: an input, and a reference to hold the result against."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.errors import BenchmarkError, UnusableResult
from benchmark.metrics import Metric, dice, nrmse, psnr, psnr_affine, ssim
from benchmark.metrics.pointwise import ratio_db
from model_library.degradation.noise import NoiseModel
from model_library.degradation.recorruption import Recorrupted, recorrupt, repeat_risk
from model_library.images.frame import Grey

_TINY = float(np.finfo(np.float32).tiny)

CEILING_DB = 120.0
"""PSNR of a perfect result, which would be infinite."""


@dataclass(frozen=True)
class Truth:
    """The noise-free image, float32 [Y, X] in counts, and the span of its values in counts."""

    pixels: Grey
    data_range: float

    @classmethod
    def of(cls, pixels: Grey) -> "Truth":
        """Truth with its own maximum - minimum as the data range."""
        return cls(pixels, max(float(np.ptp(pixels)), _TINY))


@dataclass(frozen=True)
class Repeat:
    """A recorrupted pair: what an independent repeat of the acquisition would see. Needs no truth.

    `data_range` is in counts: the 1st to 99th percentile of the acquired image.
    """

    pair: Recorrupted
    data_range: float


@dataclass(frozen=True)
class Labels:
    """The true mask, bool [Y, X]."""

    mask: NDArray[np.bool_]


Reference = Truth | Repeat | Labels


@dataclass(frozen=True)
class Case:
    """One input (float32 [Y, X] in counts) of one field of view, and its reference."""

    field: str
    name: str
    input: Grey
    reference: Reference


def repeat_cases(
    images: Sequence[tuple[str, Grey]],
    noise: NoiseModel,
    rng: np.random.Generator,
    crop_px: int = 256,
) -> tuple[Case, ...]:
    """Cases from acquired images alone, by recorruption: one crop of each image.

    Parameters
    ----------
    images
        (field of view, pixels float32 [Y, X] in counts).
    noise
        Of the instrument that acquired them.
    rng
        Places the crops and draws the noise.
    crop_px
        Side of a crop; smaller images are taken whole.
    """
    cases = []
    for number, (field, pixels) in enumerate(images):
        crop = _crop(pixels, crop_px, rng)
        pair = recorrupt(crop, noise, rng)
        low, high = np.percentile(crop, (1, 99))
        span = max(float(high - low), _TINY)
        cases.append(Case(field, f"{number:03d}:{field}", pair.input, Repeat(pair, span)))
    return tuple(cases)


def default_metric(reference: Reference) -> Metric:
    """Metric that decides where nothing else is asked for."""
    match reference:
        case Truth():
            return Metric.PSNR
        case Repeat():
            return Metric.PSNR_REPEAT
        case Labels():
            return Metric.DICE


def score(prediction: NDArray[Any], reference: Reference, metric: Metric) -> float:
    """Score of one result; NaN if any of its pixels is not finite.

    Raises
    ------
    UnusableResult
        If the result has another shape than the reference.
    BenchmarkError
        If the metric needs another kind of reference.
    """
    match reference:
        case Truth():
            target: NDArray[Any] = reference.pixels
        case Repeat():
            target = reference.pair.target
        case Labels():
            target = reference.mask
    finer = prediction.shape[0] // target.shape[0] if isinstance(reference, Repeat) else 1
    if prediction.shape != tuple(max(1, finer) * side for side in target.shape):
        raise UnusableResult(f"expected a result of shape {target.shape}, found {prediction.shape}")
    if not np.isfinite(prediction).all():
        return math.nan
    return min(_measure(prediction, reference, metric), CEILING_DB)


def _measure(prediction: NDArray[Any], reference: Reference, metric: Metric) -> float:
    match reference, metric:
        case Truth(), Metric.NRMSE:
            return nrmse(prediction, reference.pixels)
        case Truth(), Metric.PSNR | Metric.PSNR_AFFINE | Metric.SSIM:
            return _RANGED[metric](prediction, reference.pixels, reference.data_range)
        case Repeat(), Metric.PSNR_REPEAT:
            return ratio_db(repeat_risk(prediction, reference.pair), reference.data_range)
        case Labels(), Metric.DICE:
            return dice(prediction, reference.mask)
        case _:
            kind = type(reference).__name__.lower()
            raise BenchmarkError(f"expected a metric that a {kind} reference allows, found {metric}")


_RANGED: dict[Metric, Callable[[NDArray[Any], NDArray[Any], float], float]] = {
    Metric.PSNR: psnr,
    Metric.PSNR_AFFINE: psnr_affine,
    Metric.SSIM: ssim,
}


def _crop(pixels: Grey, crop_px: int, rng: np.random.Generator) -> Grey:
    height, width = (min(side, crop_px) for side in pixels.shape)
    if not height or not width:
        raise BenchmarkError(f"expected an image with pixels, found {pixels.shape}")
    top = int(rng.integers(0, pixels.shape[0] - height + 1))
    left = int(rng.integers(0, pixels.shape[1] - width + 1))
    return pixels[top : top + height, left : left + width]
