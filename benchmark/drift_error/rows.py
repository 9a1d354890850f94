"""Instruments that stay as they are, and as many that change: what the drift test tells of each."""

import numpy as np

from benchmark.drift import detect
from benchmark.drift_error.sources import Source
from benchmark.drift_policy import DriftPolicy, Feature
from benchmark.noticeable import noticeable
from model_library.wire.base import Message

_WATCHED, _BEFORE, _CHANGED = 200, 20, 30


class DriftRow(Message):
    """Features under one kind of scatter, watched together where they are several.

    Attributes
    ----------
    change
        What happens to it, in words.
    false_alarms_per_10000, images
        Alarms of an instrument that stays as it is, and over how many images.
    within_2, within_3
        Share of the changes that are told at the second, third changed image or before.
    delay
        Mean number of changed images until told, where it is told.
    missed
        Share not told in 30 changed images.
    noticeable
        What an instrument with 20 returned images says that it would notice, see `Noticeable.change`:
        the median; None where several features are watched.
    """

    features: tuple[Feature, ...]
    scatter: str
    change: str
    false_alarms_per_10000: float
    images: int
    within_2: float
    within_3: float
    delay: float | None
    missed: float
    noticeable: float | None


def measure(source: Source, campaigns: int, seed: int, policy: DriftPolicy) -> DriftRow:
    """Watch so many instruments that stay as they are, and as many that change after 20 images."""
    alarms = images = 0
    delays: list[int | None] = []
    changes: list[float] = []
    for campaign in range(campaigns):
        rng = np.random.default_rng([seed, campaign])
        told = _told(source, rng, (_WATCHED, 0), policy)
        alarms += told is not None
        images += _WATCHED if told is None else told
        changes += [each.change for each in noticeable(source.campaign(rng, _BEFORE, 0), policy)]
        told = _told(source, rng, (_BEFORE, _CHANGED), policy)
        if told is None or told > _BEFORE:
            delays.append(None if told is None else told - _BEFORE)
    found = np.array([each for each in delays if each is not None])
    return DriftRow(
        features=source.features,
        scatter=source.scatter,
        change=source.change,
        false_alarms_per_10000=1e4 * alarms / images,
        images=images,
        within_2=float((found <= 2).sum() / len(delays)),
        within_3=float((found <= 3).sum() / len(delays)),
        delay=float(found.mean()) if len(found) else None,
        missed=1 - len(found) / len(delays),
        noticeable=float(np.median(changes)) if len(source.features) == 1 and changes else None,
    )


def _told(
    source: Source, rng: np.random.Generator, images: tuple[int, int], policy: DriftPolicy
) -> int | None:
    """Give the number of the returned image at which a drift is told."""
    drift = detect(source.campaign(rng, *images), policy)
    return None if drift is None else drift.detected_sequence
