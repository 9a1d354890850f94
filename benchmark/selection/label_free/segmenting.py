"""What a segmentation can be held to: itself, the image, what others find, and labels, if any."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from benchmark.cases import Case, Labels
from benchmark.evaluate import Attempt
from benchmark.look import Look
from benchmark.method import Method
from benchmark.metrics import Metric
from benchmark.metrics.overlap import dice
from benchmark.selection.label_free.agreement import Classes, consensus, kappa, separation
from benchmark.selection.label_free.perturbing import AS_ACQUIRED, Perturbed
from benchmark.selection.label_free.polarity import contrast, likeness
from benchmark.served import served
from model_library.errors import SynopticError
from model_library.images.frame import Grey

Mask = NDArray[np.bool_]
"""Which pixels belong to the structure, axes [Y, X]."""


@dataclass(frozen=True)
class Scene:
    """One image of an instrument, and what is known of it.

    Attributes
    ----------
    pixels
        float32 [Y, X] in counts.
    mask
        The structure, where it was labelled.
    pixel_size_nm
        Of the image; None where unknown.
    look
        Of the structure, where whoever asks stated it.
    """

    field: str
    pixels: Grey
    mask: Mask | None = None
    pixel_size_nm: float | None = None
    look: Look | None = None

    @classmethod
    def of(cls, case: Case, look: Look | None = None) -> Self:
        """Take a labelled case."""
        assert isinstance(case.reference, Labels)
        return cls(case.field, case.input, case.reference.mask > 0, case.pixel_size_nm, look)


@dataclass(frozen=True)
class Found:
    """What a method found in an image.

    Attributes
    ----------
    classes
        In the image [Y, X].
    changed
        In its changed versions, by their names, mapped back onto it.
    consistency, separation
        How far these agree; how far the classes are written in the grey values.
    contrast
        How much brighter what was found is than its surroundings.
    """

    classes: Classes
    changed: Mapping[str, Classes]
    consistency: float
    separation: float
    contrast: float


def find(method: Method, pixels: Grey, changes: Sequence[Perturbed]) -> Found:
    """Segment an image [Y, X] in counts and its changed versions; refusals are those of the method.

    Consistency under perturbation ranks segmenting networks as their Dice coefficient does (Talks and
    Kreshuk, "Ranking pre-trained segmentation models for zero-shot transferability", 2025), if agreement
    by chance is taken off: the network that finds nothing is the most consistent of all.
    """
    classes = _classes(method, pixels)
    changed = {change.name: change.back(_classes(method, change.pixels)) for change in changes}
    agreement = float(np.mean([kappa(classes, each) for each in changed.values()]))
    return Found(
        classes, changed, max(0.0, agreement), separation(pixels, classes), contrast(pixels, classes)
    )


def judge(
    methods: Sequence[Method], scene: Scene, changes: Sequence[Perturbed], clock: Callable[[], float]
) -> list[Attempt]:
    """Measure what speaks for each of several methods on one image; one that refuses has no scores."""
    found: dict[int, Found] = {}
    attempts = {}
    for number, method in enumerate(methods):
        start, why = clock(), None
        try:
            found[number] = find(served(method, scene.pixel_size_nm), scene.pixels, changes)
        except SynopticError as refusal:
            why = f"{scene.field}: {refusal}"
        attempts[number] = Attempt({}, clock() - start, why)
    together = weigh_together(list(found.values()), scene.look)
    for (number, each), figures in zip(found.items(), together, strict=True):
        known = {} if scene.mask is None else overlaps(each, scene.mask)
        attempts[number] = Attempt({**figures, **known}, attempts[number].seconds)
    return list(attempts.values())


def weigh_together(found: Sequence[Found], look: Look | None = None) -> list[Mapping[Metric, float]]:
    """Measure what speaks for each of several methods on one image, without labels.

    Returns
    -------
    list
        `PLAUSIBILITY`, by which methods are ranked where no look was stated, is `CONSISTENCY` x the square
        root of `SEPARATION` x `CONSENSUS`; all in [0, 1]. Where one was, `PLAUSIBILITY_STATED` ranks: the
        same times the likeness to that look, by which the others' say in the consensus counts as well.
    """
    plain, shares = _plausible(found, [1.0] * len(found))
    figures: list[Mapping[Metric, float]] = [
        {
            Metric.PLAUSIBILITY: value,
            Metric.CONSISTENCY: each.consistency,
            Metric.SEPARATION: each.separation,
            Metric.CONSENSUS: share,
        }
        for each, value, share in zip(found, plain, shares, strict=True)
    ]
    if look is None:
        return figures
    stated, _ = _plausible(found, [likeness(each.contrast, look) for each in found])
    return [
        {**known, Metric.PLAUSIBILITY_STATED: value} for known, value in zip(figures, stated, strict=True)
    ]


def _plausible(found: Sequence[Found], alike: Sequence[float]) -> tuple[list[float], list[float]]:
    """Plausibility and consensus of each, where its likeness to what is meant is `alike`."""
    trust = [
        share * each.consistency * math.sqrt(each.separation)
        for each, share in zip(found, alike, strict=True)
    ]
    shares = consensus([each.classes for each in found], trust)
    return [own * math.sqrt(share) for own, share in zip(trust, shares, strict=True)], shares


def overlaps(found: Found, mask: Mask) -> Mapping[Metric, float]:
    """Hold what a method found to the labels [Y, X] of the image.

    Returns
    -------
    Mapping
        `DICE_EXPECTED`, by which methods are ranked: the mean of `DICE` over the image as it is and as it
        might as well have been acquired (`AS_ACQUIRED`).
    """
    each = [dice(found.changed[name], mask) for name in AS_ACQUIRED]
    plain = dice(found.classes, mask)
    return {Metric.DICE_EXPECTED: float(np.mean([plain, *each])), Metric.DICE: plain}


def _classes(method: Method, pixels: Grey) -> Classes:
    return np.asarray(method(pixels), dtype=np.int32)
