"""What methods are scored on: an input, and a reference to hold the result against."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.errors import BenchmarkError, UnusableResult
from benchmark.metrics import (
    Metric,
    average_precision,
    boundary_f,
    coco_ap50,
    dice,
    frc_resolution,
    iou,
    ms_ssim,
    ms_ssim_affine,
    nrmse,
    nrmse_affine,
    panoptic_quality,
    psnr,
    psnr_affine,
    rand_foreground,
    ssim,
    ssim_affine,
    variation_of_information,
)
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

    @classmethod
    def of(cls, pair: Recorrupted) -> "Repeat":
        """Repeat with the span of the grey values of its own acquisition."""
        low, high = np.percentile(pair.acquired, (1, 99))
        return cls(pair, max(float(high - low), _TINY))


@dataclass(frozen=True)
class Labels:
    """The true mask, bool [Y, X]."""

    mask: NDArray[np.bool_]


@dataclass(frozen=True)
class OtherFrame:
    """A second acquisition of the same place, on the grey scale of the first.

    Attributes
    ----------
    pixels
        float32 [Y, X], in counts.
    noise_variance
        Of the second acquisition, in counts^2: it is taken off the squared difference.
    data_range
        In counts: the 1st to 99th percentile of the smoothed acquisition.
    """

    pixels: Grey
    noise_variance: float
    data_range: float


@dataclass(frozen=True)
class Instances:
    """The true objects: int32 [Y, X], one number each, 0 for background.

    A result is held to the same form, its numbers running from the most to the least certain object.
    """

    labels: NDArray[np.int32]


@dataclass(frozen=True)
class Partition:
    """The true cells: int32 [Y, X], one number each, 0 where nothing is judged (membrane).

    A result gives every pixel the number of its cell.
    """

    labels: NDArray[np.int32]


Reference = Truth | Repeat | OtherFrame | Labels | Instances | Partition


@dataclass(frozen=True)
class Case:
    """One input (float32 [Y, X] in counts) of one field of view, and its reference.

    `pixel_size_nm` is the side of a pixel of the input, None where unknown: methods that were made for
    other pixels are judged as they are served (`served.Sized`).
    """

    field: str
    name: str
    input: Grey
    reference: Reference
    pixel_size_nm: float | None = None


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
        pair = recorrupt(_crop(pixels, crop_px, rng), noise, rng)
        cases.append(Case(field, f"{number:03d}:{field}", pair.input, Repeat.of(pair)))
    return tuple(cases)


def default_metric(reference: Reference) -> Metric:
    """Metric that decides where nothing else is asked for."""
    match reference:
        case Truth():
            return Metric.PSNR
        case Repeat():
            return Metric.PSNR_REPEAT
        case OtherFrame():
            return Metric.FRAME_RISK
        case Labels():
            return Metric.DICE
        case Instances():
            return Metric.AP50
        case Partition():
            return Metric.RAND_FOREGROUND


def score(prediction: NDArray[Any], reference: Reference, metric: Metric) -> float:
    """Score of one result; NaN if any of its pixels is not finite.

    Raises
    ------
    UnusableResult
        If the result has another shape than the reference.
    BenchmarkError
        If the metric needs another kind of reference.
    """
    target = target_of(reference)
    finer = prediction.shape[0] // target.shape[0] if isinstance(reference, Repeat) else 1
    if prediction.shape != tuple(max(1, finer) * side for side in target.shape):
        raise UnusableResult(f"expected a result of shape {target.shape}, found {prediction.shape}")
    if not np.isfinite(prediction).all():
        return math.nan
    return min(_measure(prediction, reference, metric), CEILING_DB)


def target_of(reference: Reference) -> NDArray[Any]:
    """Pixels or labels [Y, X] that a result is held against."""
    match reference:
        case Truth() | OtherFrame():
            return reference.pixels
        case Repeat():
            return reference.pair.target
        case Labels():
            return reference.mask
        case Instances() | Partition():
            return reference.labels


def inside(reference: Reference) -> NDArray[np.bool_]:
    """Pixels [Y, X] of the class that is looked for; of cells, the membranes between them.

    Raises
    ------
    BenchmarkError
        If the reference is none of labels.
    """
    match reference:
        case Labels(mask):
            return mask
        case Instances(labels):
            return np.asarray(labels > 0)
        case Partition(labels):
            return np.asarray(labels == 0)
        case _:
            kind = type(reference).__name__.lower()
            raise BenchmarkError(f"expected labelled images, found a {kind}; send labels first")


def _measure(prediction: NDArray[Any], reference: Reference, metric: Metric) -> float:
    match reference, metric:
        case Truth(), Metric.NRMSE | Metric.NRMSE_AFFINE | Metric.FRC_RESOLUTION:
            return _PLAIN[metric](prediction, reference.pixels)
        case Truth(), _ if metric in _RANGED:
            return _RANGED[metric](prediction, reference.pixels, reference.data_range)
        case Repeat(), Metric.PSNR_REPEAT:
            return ratio_db(repeat_risk(prediction, reference.pair), reference.data_range)
        case OtherFrame(), Metric.FRAME_RISK:
            error = float(np.mean(np.square(prediction.astype(np.float64) - reference.pixels)))
            return (error - reference.noise_variance) / reference.data_range**2
        case Labels(), Metric.DICE | Metric.IOU | Metric.BOUNDARY_F:
            return _PLAIN[metric](prediction, reference.mask)
        case Instances(), _ if metric in _OF_OBJECTS:
            return _PLAIN[metric](prediction, reference.labels)
        case Partition(), Metric.RAND_FOREGROUND:
            return rand_foreground(prediction, reference.labels)
        case Partition(), Metric.VARIATION_OF_INFORMATION:
            return sum(variation_of_information(prediction, reference.labels))
        case _:
            kind = type(reference).__name__.lower()
            raise BenchmarkError(f"expected a metric that a {kind} reference allows, found {metric}")


_RANGED: dict[Metric, Callable[[NDArray[Any], NDArray[Any], float], float]] = {
    Metric.PSNR: psnr,
    Metric.PSNR_AFFINE: psnr_affine,
    Metric.SSIM: ssim,
    Metric.SSIM_AFFINE: ssim_affine,
    Metric.MS_SSIM: ms_ssim,
    Metric.MS_SSIM_AFFINE: ms_ssim_affine,
}
_PLAIN: dict[Metric, Callable[[NDArray[Any], NDArray[Any]], float]] = {
    Metric.NRMSE: nrmse,
    Metric.NRMSE_AFFINE: nrmse_affine,
    Metric.FRC_RESOLUTION: frc_resolution,
    Metric.DICE: dice,
    Metric.IOU: iou,
    Metric.AP50: average_precision,
    Metric.COCO_AP50: coco_ap50,
    Metric.PANOPTIC_QUALITY: panoptic_quality,
    Metric.BOUNDARY_F: boundary_f,
}
_OF_OBJECTS = frozenset(
    {Metric.DICE, Metric.AP50, Metric.COCO_AP50, Metric.PANOPTIC_QUALITY, Metric.BOUNDARY_F}
)


def _crop(pixels: Grey, crop_px: int, rng: np.random.Generator) -> Grey:
    height, width = (min(side, crop_px) for side in pixels.shape)
    if not height or not width:
        raise BenchmarkError(f"expected an image with pixels, found {pixels.shape}")
    top = int(rng.integers(0, pixels.shape[0] - height + 1))
    left = int(rng.integers(0, pixels.shape[1] - width + 1))
    return pixels[top : top + height, left : left + width]
