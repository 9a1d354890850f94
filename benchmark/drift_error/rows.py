"""Instruments that stay as they are, and as many that change: what the drift test tells of each."""

import numpy as np

from benchmark.drift import DriftPolicy, Feature, detect
from benchmark.drift_error.sources import Source
from model_library.wire.base import Message

_WATCHED, _BEFORE, _CHANGED = 200, 20, 30


class DriftRow(Message):
    """One feature under one kind of scatter.

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
    """

    feature: Feature
    scatter: str
    change: str
    false_alarms_per_10000: float
    images: int
    within_2: float
    within_3: float
    delay: float | None
    missed: float


def measure(source: Source, campaigns: int, seed: int, policy: DriftPolicy) -> DriftRow:
    """Watch so many instruments that stay as they are, and as many that change after 20 images."""
    alarms = images = 0
    delays: list[int | None] = []
    for campaign in range(campaigns):
        rng = np.random.default_rng([seed, campaign])
        told = _told(source, rng, (_WATCHED, 0), policy)
        alarms += told is not None
        images += _WATCHED if told is None else told
        told = _told(source, rng, (_BEFORE, _CHANGED), policy)
        if told is None or told > _BEFORE:
            delays.append(None if told is None else told - _BEFORE)
    found = np.array([each for each in delays if each is not None])
    return DriftRow(
        feature=source.feature,
        scatter=source.scatter,
        change=source.change,
        false_alarms_per_10000=1e4 * alarms / images,
        images=images,
        within_2=float((found <= 2).sum() / len(delays)),
        within_3=float((found <= 3).sum() / len(delays)),
        delay=float(found.mean()) if len(found) else None,
        missed=1 - len(found) / len(delays),
    )


def _told(
    source: Source, rng: np.random.Generator, images: tuple[int, int], policy: DriftPolicy
) -> int | None:
    """Give the number of the returned image at which a drift is told."""
    drift = detect([source.campaign(rng, *images)], policy)
    return None if drift is None else drift.detected_sequence
