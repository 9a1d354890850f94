"""Uncertainty maps on a scale that means something: fitted on some images, checked on others."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from benchmark.errors import BenchmarkError
from benchmark.method import Method
from model_library.degradation.noise import NoiseModel
from model_library.degradation.operators import block_mean
from model_library.degradation.recorruption import added_noise
from model_library.images.frame import Grey
from model_library.inference.uncertainty import Calibration, spread_of

_BINS = 20


@dataclass(frozen=True)
class Known:
    """An acquisition float32 [Y, X] of a known specimen float32 [s Y, s X], both in counts."""

    acquired: Grey
    truth: Grey


@dataclass(frozen=True)
class Restored:
    """What a method says of a known specimen: its result, the spread and its error, counts, [s Y, s X]."""

    result: Grey
    spread: Grey
    error: Grey


def acquired_again(method: Method, pixels: Grey, noise: NoiseModel, rng: np.random.Generator) -> Known:
    """Take what a method makes of an image as the specimen, and acquire that once more.

    The specimen is then known and looks like those of the instrument; but what the method never shows
    is not in it, so that errors of omission are counted too low.
    """
    truth = method(pixels)
    seen = block_mean(truth, method.scale) if method.scale > 1 else truth
    return Known(seen + added_noise(seen, noise, 1.0, rng), truth)


def restored(method: Method, known: Known) -> Restored:
    """Restore a known specimen in eight ways."""
    result, spread = spread_of(method, known.acquired)
    return Restored(result, spread, result - known.truth)


def calibrated(tuning: Sequence[Restored]) -> Calibration:
    """Fit the scale of the spread, and the error that it does not show, to known specimens.

    Squared errors are averaged over 20 intervals of the spread; a line of non-negative coefficients is
    fitted to them, each interval counting by its relative misfit. The factor is the 95 % quantile of
    the errors over the standard deviation so found, whatever their distribution (split conformal
    prediction, Vovk et al. 2005).

    Raises
    ------
    BenchmarkError
        Without images.
    """
    if not tuning:
        raise BenchmarkError("expected images to calibrate the uncertainty on, found none; give at least two")
    spread = np.concatenate([one.spread.ravel() for one in tuning]).astype(np.float64)
    error = np.concatenate([one.error.ravel() for one in tuning]).astype(np.float64)
    cuts = np.quantile(spread, np.linspace(0, 1, _BINS + 1)[1:-1])
    place = np.searchsorted(cuts, spread)
    count = np.maximum(np.bincount(place, minlength=_BINS), 1)
    squares = np.bincount(place, np.square(error), _BINS) / count
    design = np.stack([np.bincount(place, np.square(spread), _BINS) / count, np.ones(_BINS)], axis=1)
    filled = squares > 0
    if not filled.any():
        return Calibration(gain=1.0, floor=0.0)
    weight = 1 / squares[filled]
    (slope, base), _ = optimize.nnls(design[filled] * weight[:, None], np.ones(int(filled.sum())))
    plain = Calibration(gain=float(np.sqrt(slope)), floor=float(np.sqrt(base)), factor=1.0)
    sigma = np.maximum(plain.half_width(spread.astype(np.float32)), np.finfo(np.float32).tiny)
    factor = float(np.quantile(np.abs(error) / sigma, 0.95))
    return Calibration(plain.gain, plain.floor, factor)


def coverage(held_out: Sequence[Restored], calibration: Calibration) -> NDArray[np.float64]:
    """Share of the pixels of each image whose error lies within the 95 % interval, float64 [image]."""
    inside = [np.abs(one.error) <= calibration.half_width(one.spread) for one in held_out]
    return np.array([each.mean() for each in inside], dtype=np.float64)
