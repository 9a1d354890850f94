"""Paired comparison of two methods over fields of view."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.special import ndtri, stdtrit

from benchmark.errors import UnpairedScores
from model_library.wire.base import Message

RESAMPLES = 2000
LEVEL = 0.95


class Comparison(Message):
    """Mean difference a - b over fields and its 95 % interval, in the metric's unit."""

    difference: float
    ci95: tuple[float, float]
    fields: int = Field(ge=2)


def compare(a: Mapping[str, float], b: Mapping[str, float], *, seed: int = 0) -> Comparison:
    """Compare two methods by a paired bootstrap over fields.

    Parameters
    ----------
    a, b
        Score per field of view; images of one field are averaged before (`Scores.by_field`).
    seed
        Of the resampling; the same scores and seed give the same interval, in any order.

    Raises
    ------
    UnpairedScores
        Where the two do not hold the same fields, fewer than two, or a score that is not finite.
    """
    differences = paired_differences(a, b)
    return Comparison(
        difference=float(differences.mean()),
        ci95=mean_interval(differences, seed=seed),
        fields=len(differences),
    )


def paired_differences(a: Mapping[str, float], b: Mapping[str, float]) -> NDArray[np.float64]:
    """Difference a - b per field, float64 [field], ascending.

    Raises
    ------
    UnpairedScores
        Where the two do not hold the same fields.
    """
    if set(a) != set(b):
        odd = ", ".join(sorted(set(a) ^ set(b))[:5])
        raise UnpairedScores(f"expected both methods scored on the same fields, found only one on {odd}")
    return np.sort(np.array([a[field] - b[field] for field in a], dtype=np.float64))


def mean_interval(values: NDArray[np.float64], *, seed: int = 0, level: float = LEVEL) -> tuple[float, float]:
    """Bootstrap interval of the mean of a few independent values, whatever their order.

    The percentile interval of 2,000 resampled means is stretched about the mean, from the normal to
    Student's t quantile and by sqrt(n / (n - 1)): unstretched it is too narrow for few fields
    (Hesterberg 2015, The American Statistician 69, "narrowness bias", whose remedy this follows).

    Raises
    ------
    UnpairedScores
        For fewer than two values or one that is not finite.
    """
    count, finite = len(values), int(np.isfinite(values).sum())
    if count < 2 or finite < count:
        raise UnpairedScores(
            f"expected finite scores on 2 fields or more, found {finite} finite of {count};"
            " send more images or drop the method that failed"
        )
    ordered = np.sort(values)
    picks = np.random.default_rng(seed).integers(0, count, size=(RESAMPLES, count))
    tail = (1 - level) / 2
    mean = float(ordered.mean())
    low, high = np.quantile(ordered[picks].mean(axis=1), [tail, 1 - tail])
    stretch = float(stdtrit(count - 1, 1 - tail) / ndtri(1 - tail)) * (count / (count - 1)) ** 0.5
    return mean + stretch * float(low - mean), mean + stretch * float(high - mean)
