"""Where the series come from: of an instrument that stays as it is, and of one that changes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark.drift import Series
from benchmark.drift_policy import DriftPolicy, Feature
from benchmark.observation import Observation, brightness, brightness_weights, relative_noise
from model_library.degradation.noise import NoiseModel

FIRST, GATE = 28, 8
"""Images of a campaign's baseline, and fields of its gate, which give the scores their baseline."""
HALF, DECIBEL = 0.5, 10 ** (1 / 20)
"""A decibel is a factor of this in noise, and its square in electrons."""

_Values = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int], _Values]
Campaign = Callable[[np.random.Generator, int, int], tuple[Series, ...]]
"""Draws the baseline, then so many calm and so many changed returned images, of each feature watched."""


@dataclass(frozen=True)
class Source:
    """Features under one kind of scatter, and what happens to them, in words."""

    features: tuple[Feature, ...]
    scatter: str
    change: str
    campaign: Campaign


@dataclass(frozen=True)
class Seen:
    """What was measured on images of one state of an instrument.

    Attributes
    ----------
    observations
        One per image.
    scores, reference_scores, perfect_scores
        Of the method in service, of a classical algorithm and of a perfect result, dB, float64 [image].
    """

    observations: tuple[Observation, ...]
    scores: _Values
    reference_scores: _Values
    perfect_scores: _Values


def numbered(feature: Feature, baseline: _Values, observed: _Values, policy: DriftPolicy) -> Series:
    """Make a series of values, the observed ones numbered from 1 on; of images that show none, none."""
    values = tuple((number, float(value)) for number, value in enumerate(observed, 1) if np.isfinite(value))
    return Series(
        feature, tuple(map(float, baseline[np.isfinite(baseline)])), values, policy.floor(feature), unit="dB"
    )


def drawn_sources(policy: DriftPolicy) -> list[Source]:
    """Series of a known scatter, normal, heavy-tailed and skewed."""
    tails: Sequence[tuple[str, Draw]] = (
        ("normal", lambda rng, count: rng.normal(0, 1, count)),
        ("heavy tails (t5)", lambda rng, count: rng.standard_t(5, count) / np.sqrt(5 / 3)),
        ("skewed (gamma 4)", lambda rng, count: (rng.gamma(4, 1, count) - 4) / 2),
    )
    sources = []
    for name, draw in tails:
        sources += [
            _drawn(Feature.NOISE, f"2.4 %, {name}", "noise +1 dB", draw, (0.024, np.log(DECIBEL)), policy),
            _drawn(Feature.BRIGHTNESS, f"20 %, {name}", "half as bright", draw, (0.2, np.log(HALF)), policy),
            _drawn(Feature.SCORE, f"0.3 dB, {name}", "score -1 dB", draw, (0.3, -1.0), policy),
            _drawn(Feature.LEAD, f"0.12 dB, {name}", "score -1 dB", draw, (0.12, -1.0), policy),
        ]
    return sources


def _drawn(
    feature: Feature, scatter: str, change: str, draw: Draw, figures: tuple[float, float], policy: DriftPolicy
) -> Source:
    spread, shift = figures
    first = FIRST if feature.logarithmic else GATE

    def campaign(rng: np.random.Generator, calm: int, changed: int) -> tuple[Series, ...]:
        values = spread * draw(rng, first + calm + changed)
        values[first + calm :] += shift
        values = np.exp(values) if feature.logarithmic else 30 + values
        return (numbered(feature, values[:first], values[first:], policy),)

    return Source((feature,), scatter, change, campaign)


def resampled(
    features: Sequence[Feature], scatter: str, change: str, states: tuple[Seen, Seen], policy: DriftPolicy
) -> Source:
    """Draw series from images of two states, calm and changed; several features are of the same images.

    No image of a campaign's baseline is among those that it watches.
    """
    calm, changed = states

    def campaign(rng: np.random.Generator, before: int, after: int) -> tuple[Series, ...]:
        order = rng.permutation(len(calm.observations))
        first, others = order[:FIRST], order[FIRST:]
        watched = rng.choice(others, before)
        later = rng.choice(len(changed.observations), after)
        baseline = [calm.observations[each] for each in first]

        def series(feature: Feature) -> Series:
            read = reader(feature, baseline)
            known = first if feature.logarithmic else first[:GATE]
            observed = np.concatenate([read(calm, watched), read(changed, later)])
            return numbered(feature, read(calm, known), observed, policy)

        return tuple(series(each) for each in features)

    return Source(tuple(features), scatter, change, campaign)


def reader(feature: Feature, baseline: Sequence[Observation]) -> Callable[[Seen, NDArray[np.intp]], _Values]:
    """Tell how the coordinator of a campaign with these first images reads a feature off others."""
    match feature:
        case Feature.SCORE:
            return lambda seen, places: (seen.scores - seen.perfect_scores)[places]
        case Feature.LEAD:
            return lambda seen, places: (seen.scores - seen.reference_scores)[places]
        case Feature.SHARPNESS:
            return lambda seen, places: np.array(
                [seen.observations[each].sharpness for each in places], float
            )
        case Feature.NOISE | Feature.BRIGHTNESS:
            noise = _typical(baseline)
            weights = brightness_weights(baseline, noise)
            return lambda seen, places: np.array(
                [
                    relative_noise(seen.observations[each], noise)
                    if feature is Feature.NOISE
                    else brightness(seen.observations[each], noise, weights)
                    for each in places
                ],
                dtype=np.float64,
            )


def _typical(baseline: Sequence[Observation]) -> NoiseModel:
    """Take the medians for the noise model of the images together, which is fitted to their pixels."""
    return NoiseModel(
        gain=float(np.median([each.gain for each in baseline])),
        read_variance=float(np.median([each.read_variance for each in baseline])),
    )
