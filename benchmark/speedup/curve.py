"""Quality over reduction, and where it falls below that of the full acquisition: pure figures."""

from collections.abc import Mapping, Sequence

import numpy as np
from pydantic import Field

from benchmark.compare import mean_interval
from benchmark.metrics import Metric
from model_library.wire.base import Message

Qualities = Mapping[float, Sequence[float]]
"""Reduction -> quality per field of view, in one order of fields."""


class CurvePoint(Message):
    """Restored images at one reduction.

    `electrons_per_pixel` are those of a pixel of the reduced acquisition at unit intensity;
    `difference` is that of the quality to the full acquisition's, paired over fields.
    """

    reduction: float = Field(gt=0)
    electrons_per_pixel: float = Field(gt=0)
    value: float
    ci95: tuple[float, float]
    difference: float
    difference_ci95: tuple[float, float]


class Crossing(Message):
    """Reduction at which restored and full acquisition are equally good.

    Attributes
    ----------
    reduction, ci95
        Geometric mean over fields, and its interval. A field whose crossing lies outside of the measured
        range counts with the end of the range.
    below_range, above_range
        Fields that are worse already at the least reduction, and better still at the greatest.
    """

    reduction: float = Field(gt=0)
    ci95: tuple[float, float]
    fields: int = Field(ge=2)
    below_range: int = Field(ge=0)
    above_range: int = Field(ge=0)


class Curve(Message):
    """One method's curve."""

    method: str
    points: tuple[CurvePoint, ...] = Field(min_length=1)
    crossing: Crossing


def curve_of(
    method: str, found: Qualities, full: Sequence[float], doses: Mapping[float, float], metric: Metric
) -> Curve:
    """Sum up a method's qualities against those of the full acquisition of the same fields.

    Parameters
    ----------
    found
        Of the method.
    full
        Quality of the unrestored full acquisition, per field.
    doses
        Reduction -> electrons per pixel.
    metric
        Of all qualities.
    """
    reference = np.asarray(full, dtype=np.float64)
    points = []
    for reduction in sorted(found):
        values = np.asarray(found[reduction], dtype=np.float64)
        points.append(
            CurvePoint(
                reduction=reduction,
                electrons_per_pixel=doses[reduction],
                value=float(values.mean()),
                ci95=mean_interval(values),
                difference=float((values - reference).mean()),
                difference_ci95=mean_interval(values - reference),
            )
        )
    sign = 1.0 if metric.higher_is_better else -1.0
    ahead = {reduction: sign * (np.asarray(values) - reference) for reduction, values in found.items()}
    return Curve(method=method, points=tuple(points), crossing=_crossing(ahead))


def field_crossing(reductions: Sequence[float], ahead: Sequence[float]) -> float:
    """Find where a lead over the full acquisition is used up, interpolated over the reduction's logarithm.

    Parameters
    ----------
    reductions
        Ascending.
    ahead
        Lead at each of them; the first fall below 0 counts.

    Returns
    -------
    float
        A reduction; the first one where there is no lead at all, the last one where it never ends.
    """
    if ahead[0] < 0:
        return reductions[0]
    for place in range(1, len(reductions)):
        before, after = ahead[place - 1], ahead[place]
        if after < 0:
            share = before / (before - after)
            low, high = np.log(reductions[place - 1]), np.log(reductions[place])
            return float(np.exp(low + share * (high - low)))
    return reductions[-1]


def _crossing(ahead: Mapping[float, np.typing.NDArray[np.float64]]) -> Crossing:
    reductions = sorted(ahead)
    leads = np.stack([ahead[reduction] for reduction in reductions], axis=1)
    logs = np.log([field_crossing(reductions, lead.tolist()) for lead in leads])
    low, high = mean_interval(logs)
    return Crossing(
        reduction=float(np.exp(logs.mean())),
        ci95=(float(np.exp(low)), float(np.exp(high))),
        fields=len(logs),
        below_range=int((leads[:, 0] < 0).sum()),
        above_range=int((leads >= 0).all(axis=1).sum()),
    )
