"""Whether an instrument still does what it did when its campaign measured it: a pure decision on series.

Every returned image gives an observation. Its features are each watched by a cumulative sum (Page,
"Continuous inspection schemes", Biometrika 1954) against the same feature of the first images: noise and
brightness from the first returned image on, and where a method is in service its score, alone and next to
that of a classical algorithm. The baseline learns: returned images join it a little later, so that its own
error, which a few first images leave large, fades away (self-starting sums: Hawkins, "Self-starting CUSUM
charts for location and scale", The Statistician 1987).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.special import ndtri, stdtr

from model_library.wire.base import Message

_Observed = tuple[tuple[int, float], ...]


class Feature(StrEnum):
    """What is watched.

    `NOISE` is the standard deviation of a pixel over what the campaign's noise model gives at the same
    grey values; the specimen plays no part in it. `BRIGHTNESS` is a weighted mean of the grey values above
    that of no electrons, in counts, see `observation.brightness`: where the detector's gain is fixed, a
    lower dose darkens the image. `SCORE` is that of the method in service. `LEAD` is that score minus the
    one of a classical algorithm on the same image, in which most of what the specimen does to both cancels.
    """

    NOISE = "noise"
    BRIGHTNESS = "brightness"
    SCORE = "score"
    LEAD = "lead"

    @property
    def logarithmic(self) -> bool:
        """Whether changes count as ratios."""
        return self in (Feature.NOISE, Feature.BRIGHTNESS)

    @property
    def specimen_moves(self) -> bool:
        """Whether another specimen changes it as well, which is no drift."""
        return self is not Feature.NOISE

    @property
    def sides(self) -> tuple[int, ...]:
        """Directions that count as a drift: a better score does not."""
        return (1, -1) if self.logarithmic else (-1,)


class Sum(Message):
    """A cumulative sum: what an image has to exceed, how far it counts, and the sum that is a drift."""

    allowance: float
    most: float
    threshold: float


class DriftPolicy(Message):
    """How a drift is told from chance.

    Attributes
    ----------
    allowance
        Standard deviations by which an image may be off without adding to the sum.
    threshold
        Sum, in standard deviations, that is called a drift.
    most
        An image counts with at most so many standard deviations. Less `allowance` it is below
        `threshold`, so that one odd image never makes a drift; two may.
    specimen_allowance, specimen_threshold, specimen_most
        For features that the specimen moves, whose tails are heavier: added to the allowance, times the
        threshold, and instead of `most`. At least three images in a row make a drift then, each
        of which counts with little; the same false alarms are so bought with fewer images that are missed.
    learned_after
        A returned image joins the baseline once so many later ones have come: a drift must not be
        learned before it is told.
    fewest
        Values without which a baseline says nothing.
    noise_floor, brightness_floor, score_floor_db, lead_floor_db, score_floor
        Least standard deviation that a baseline is credited with, as a ratio, in dB or in units of the
        score: smaller changes matter to nobody.
    """

    allowance: float = Field(default=1.0, ge=0)
    threshold: float = Field(default=5.0, gt=0)
    most: float = Field(default=4.5, gt=0)
    specimen_allowance: float = Field(default=0.5, ge=0)
    specimen_threshold: float = Field(default=0.68, gt=0)
    specimen_most: float = Field(default=3.0, gt=0)
    learned_after: int = Field(default=3, ge=0)
    fewest: int = Field(default=8, ge=3)
    noise_floor: float = Field(default=0.03, gt=0)
    brightness_floor: float = Field(default=0.07, gt=0)
    score_floor_db: float = Field(default=0.2, gt=0)
    lead_floor_db: float = Field(default=0.1, gt=0)
    score_floor: float = Field(default=0.02, gt=0)

    def sum_of(self, feature: Feature) -> Sum:
        """Tell how a feature is summed."""
        if not feature.specimen_moves:
            return Sum(allowance=self.allowance, most=self.most, threshold=self.threshold)
        return Sum(
            allowance=self.allowance + self.specimen_allowance,
            most=self.specimen_most,
            threshold=self.threshold * self.specimen_threshold,
        )

    def floor(self, feature: Feature, unit: str = "dB") -> float:
        """Least standard deviation of a feature, of scores in this unit."""
        match feature:
            case Feature.NOISE:
                return self.noise_floor
            case Feature.BRIGHTNESS:
                return self.brightness_floor
            case Feature.SCORE:
                return self.score_floor_db if unit == "dB" else self.score_floor
            case Feature.LEAD:
                return self.lead_floor_db if unit == "dB" else self.score_floor


@dataclass(frozen=True)
class Series:
    """One feature over time.

    Attributes
    ----------
    feature
        What is watched.
    baseline
        Its values when all was well; where there are too few, the first observed ones complete them.
    observed
        (sequence number of the frame, value), in the order of acquisition.
    floor
        Least standard deviation of the baseline: a ratio where changes count as ratios.
    against
        The classical algorithm of a lead.
    unit
        Of a score or lead.
    """

    feature: Feature
    baseline: tuple[float, ...]
    observed: _Observed
    floor: float
    against: str = ""
    unit: str = ""


class Drift(Message):
    """A change that chance does not explain.

    Attributes
    ----------
    feature
        That shows it.
    onset_sequence
        First of the returned images that belong to the change; it began between the one before and this.
    detected_sequence
        Image at which it could be told from chance.
    before, after
        Mean of the feature in the baseline, and from onset to detection.
    statistic, threshold
        The cumulative sum and its limit, in standard deviations.
    against, unit
        See `Series`.
    """

    feature: Feature
    onset_sequence: int
    detected_sequence: int
    before: float
    after: float
    statistic: float
    threshold: float
    against: str = ""
    unit: str = ""

    @property
    def told(self) -> str:
        """What changed, as in "score against tv fell by 1.1 dB (0.42 -> -0.68)"."""
        change = f"{self.before:.4g} -> {self.after:.4g}"
        verb = "rose" if self.after > self.before else "fell"
        if self.feature.logarithmic:
            return f"{self.feature} {verb} by {abs(self.after / self.before - 1):.0%} ({change})"
        what = f"{Feature.SCORE} against {self.against}" if self.against else str(self.feature)
        by = f"{abs(self.after - self.before):.2g} {self.unit}".rstrip()
        return f"{what} {verb} by {by} ({change})"


def detect(series: Sequence[Series], policy: DriftPolicy | None = None) -> Drift | None:
    """Find the earliest drift that any of several series shows; of equal ones, that of the highest sum."""
    policy = policy or DriftPolicy()
    found = [drift for each in series if (drift := _first_drift(each, policy)) is not None]
    return min(found, key=lambda drift: (drift.detected_sequence, -drift.statistic), default=None)


def deviations(series: Series, policy: DriftPolicy) -> _Observed:
    """Say how far each observed value is from the baseline as it was then: (sequence, standard deviations).

    The baseline is an estimate from a few values; Student's distribution of a further value turns the
    quotient into what it would be if mean and spread were known.
    """
    baseline, watched = _learned(series, policy)
    if len(baseline) < policy.fewest:
        return ()
    most = policy.sum_of(series.feature).most
    values = np.array([_scaled(series.feature, value) for _, value in watched], dtype=np.float64)
    first, middle = len(baseline), float(baseline.mean())
    count = first + np.maximum(0, np.arange(len(values)) - policy.learned_after)
    known = np.concatenate([baseline, values]) - middle
    mean = np.cumsum(known)[count - 1] / count
    # About the baseline's mean, the two sums do not cancel.
    variance = (np.cumsum(known**2)[count - 1] - count * mean**2) / (count - 1)
    spread = np.maximum(np.sqrt(np.maximum(variance, 0)), series.floor) * np.sqrt(1 + 1 / count)
    quotients = (values - middle - mean) / spread
    # The lower tail keeps its digits where the upper one rounds to 1.
    sizes = np.minimum(-ndtri(stdtr(count - 1, -np.abs(quotients))), most)
    sizes = np.copysign(sizes, quotients)
    return tuple((sequence, float(size)) for (sequence, _), size in zip(watched, sizes, strict=True))


def _learned(series: Series, policy: DriftPolicy) -> tuple[NDArray[np.float64], _Observed]:
    """Baseline, and what is held against it."""
    missing = max(0, policy.fewest - len(series.baseline))
    values = (*series.baseline, *(value for _, value in series.observed[:missing]))
    scaled = np.array([_scaled(series.feature, value) for value in values], dtype=np.float64)
    return scaled, series.observed[missing:]


def _scaled(feature: Feature, value: float) -> float:
    return float(np.log(max(value, np.finfo(np.float64).tiny))) if feature.logarithmic else value


def _first_drift(series: Series, policy: DriftPolicy) -> Drift | None:
    sums: dict[int, float] = dict.fromkeys(series.feature.sides, 0.0)
    onsets: dict[int, int] = {}
    rule = policy.sum_of(series.feature)
    for sequence, deviation in deviations(series, policy):
        for side in sums:
            grown = sums[side] + side * deviation - rule.allowance
            if grown <= 0:
                sums[side] = 0.0
                onsets.pop(side, None)
                continue
            onsets.setdefault(side, sequence)
            sums[side] = grown
            if grown >= rule.threshold:
                return _told(series, policy, (onsets[side], sequence), grown)
    return None


def _told(series: Series, policy: DriftPolicy, span: tuple[int, int], statistic: float) -> Drift:
    baseline, watched = _learned(series, policy)
    onset, detected = span
    since = [_scaled(series.feature, value) for sequence, value in watched if onset <= sequence <= detected]
    before, after = float(baseline.mean()), float(np.mean(since))
    return Drift(
        feature=series.feature,
        onset_sequence=onset,
        detected_sequence=detected,
        before=float(np.exp(before)) if series.feature.logarithmic else before,
        after=float(np.exp(after)) if series.feature.logarithmic else after,
        statistic=statistic,
        threshold=policy.sum_of(series.feature).threshold,
        against=series.against,
        unit=series.unit,
    )
