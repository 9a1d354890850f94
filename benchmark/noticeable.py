"""The smallest change that is noticed within three returned images, for an instrument as it scatters."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from scipy.special import ndtr, ndtri, stdtrit

from benchmark.drift import Series, spread_of
from benchmark.drift_policy import DriftPolicy, Feature, Sum
from model_library.wire.base import Message

IMAGES, SHARE = 3, 0.9
"""Noticed: told at the third changed image or before, in so many of all cases."""
_DRAWS = 41


class Noticeable(Message):
    """What would be noticed.

    Attributes
    ----------
    feature, against, unit
        See `Series`.
    change
        Smallest change that is noticed: a ratio above 1 where changes count as ratios (by which a
        feature falls or rises), else how much the score has to fall, in `unit`.
    baseline
        Values that it rests on.
    """

    feature: Feature
    change: float
    baseline: int
    against: str = ""
    unit: str = ""

    @property
    def told(self) -> str:
        """The change in words, as in "score against tv -0.8 dB"."""
        what = f"{Feature.SCORE} against {self.against}" if self.against else str(self.feature)
        if not self.feature.logarithmic:
            return f"{what} {-self.change:.2g} {self.unit}".rstrip()
        sign = "-" if self.feature.sides == (-1,) else "+"
        share = 1 - 1 / self.change if sign == "-" else self.change - 1
        return f"{what} {sign}{share:.0%}"


def noticeable(series: Sequence[Series], policy: DriftPolicy | None = None) -> tuple[Noticeable, ...]:
    """Tell for each series the smallest change that is noticed within three images, in nine of ten cases.

    The scatter is that of the baseline, taken for normal; series without a baseline tell nothing.
    """
    policy = policy or DriftPolicy()
    found = []
    for each in series:
        known = spread_of(each, policy)
        if known is None:
            continue
        spread, count = known
        deviation = _needed(policy.sum_of(each.feature))
        # What looks like so many standard deviations has to be more of them where few values tell the spread.
        change = spread * -float(stdtrit(count - 1, ndtr(-deviation)))
        found.append(
            Noticeable(
                feature=each.feature,
                change=float(np.exp(change)) if each.feature.logarithmic else change,
                baseline=count,
                against=each.against,
                unit=each.unit,
            )
        )
    return tuple(found)


@lru_cache(maxsize=16)
def _needed(rule: Sum) -> float:
    """Find by how many standard deviations an image has to be off, for the sum to tell it in time."""
    scatter = ndtri((np.arange(_DRAWS) + 0.5) / _DRAWS)
    drawn = np.stack(np.meshgrid(*(scatter,) * IMAGES, indexing="ij")).reshape(IMAGES, -1)

    def told(shift: float) -> float:
        grown, over = np.zeros(drawn.shape[1]), np.zeros(drawn.shape[1], bool)
        for each in drawn:
            grown = np.maximum(grown + np.minimum(each + shift, rule.most) - rule.allowance, 0)
            over |= grown >= rule.threshold
        return float(over.mean())

    low, high = 0.0, 20.0
    while high - low > 1e-3:
        middle = (low + high) / 2
        low, high = (low, middle) if told(middle) >= SHARE else (middle, high)
    return high
