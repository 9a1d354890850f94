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

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtr

from benchmark.drift_policy import DriftPolicy, Feature
from model_library.wire.base import Message

_Observed = tuple[tuple[int, float], ...]

_RANK_ERROR = 0.3
"""Standard deviations by which a rank near the end of some thirty values may be off."""


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
        What a score is held against: a classical algorithm, or a perfect result.
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


def deviations(series: Series, policy: DriftPolicy, *, ranked: bool = True) -> _Observed:
    """Say how far each observed value is from the baseline as it was then: (sequence, standard deviations).

    The baseline is an estimate from a few values; Student's distribution of a further value turns the
    quotient into what it would be if mean and spread were known. Of tails that are heavier than a normal
    distribution's that says too much; so a value that is not beyond all of the baseline counts as its rank
    among them says, if that is less; not where it is not `ranked`.
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
    if ranked:
        sizes = np.minimum(sizes, _by_rank(known, count, first))
    sizes = np.copysign(sizes, quotients)
    return tuple((sequence, float(size)) for (sequence, _), size in zip(watched, sizes, strict=True))


def _by_rank(values: NDArray[np.float64], counts: NDArray[np.int64], first: int) -> NDArray[np.float64]:
    """Say how many standard deviations each value may count for its rank in the baseline of then.

    Parameters
    ----------
    values
        Baseline, then what is watched.
    counts
        How many of `values` were the baseline of each watched one.
    first
        How many there were at first.

    Returns
    -------
    At least 0; infinite for a value beyond all of the baseline.
    """
    sizes = np.full(len(counts), np.inf)
    for place, (value, count) in enumerate(zip(values[first:], counts, strict=True)):
        baseline = values[:count]
        as_far = min(int((baseline >= value).sum()), int((baseline <= value).sum()))
        if as_far:
            sizes[place] = max(0.0, -float(ndtri((as_far + 1) / (count + 2))) - _RANK_ERROR)
    return sizes


def spread_of(series: Series, policy: DriftPolicy) -> tuple[float, int] | None:
    """Tell the standard deviation of one further image, and of how many values; None of too few."""
    baseline, watched = _learned(series, policy)
    if len(baseline) < policy.fewest:
        return None
    joined = [
        _scaled(series.feature, value) for _, value in watched[: max(0, len(watched) - policy.learned_after)]
    ]
    values = np.concatenate([baseline, joined]) if joined else baseline
    spread = max(float(values.std(ddof=1)), series.floor)
    return spread * float(np.sqrt(1 + 1 / len(values))), len(values)


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
    plain = deviations(series, policy, ranked=False)
    for (sequence, ranked), (_, deviation) in zip(deviations(series, policy), plain, strict=True):
        for side in sums:
            # A rank is a reason to doubt what speaks for a drift, not what speaks against it.
            grown = sums[side] + min(side * ranked, side * deviation) - rule.allowance
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
