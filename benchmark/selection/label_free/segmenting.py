"""What a segmentation can be held to: itself, the image, what others find, and labels, if any."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from benchmark.cases import Case, Labels
from benchmark.evaluate import Attempt
from benchmark.method import Method
from benchmark.metrics import Metric
from benchmark.metrics.overlap import dice
from benchmark.selection.label_free.agreement import Classes, consensus, kappa, separation
from benchmark.selection.label_free.perturbing import AS_ACQUIRED, Perturbed
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
    """

    field: str
    pixels: Grey
    mask: Mask | None = None
    pixel_size_nm: float | None = None

    @classmethod
    def of(cls, case: Case) -> Self:
        """Take a labelled case."""
        assert isinstance(case.reference, Labels)
        return cls(case.field, case.input, case.reference.mask > 0, case.pixel_size_nm)


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
    """

    classes: Classes
    changed: Mapping[str, Classes]
    consistency: float
    separation: float


def find(method: Method, pixels: Grey, changes: Sequence[Perturbed]) -> Found:
    """Segment an image [Y, X] in counts and its changed versions; refusals are those of the method.

    Consistency under perturbation ranks segmenting networks as their Dice coefficient does (Talks and
    Kreshuk, "Ranking pre-trained segmentation models for zero-shot transferability", 2025), if agreement
    by chance is taken off: the network that finds nothing is the most consistent of all.
    """
    classes = _classes(method, pixels)
    changed = {change.name: change.back(_classes(method, change.pixels)) for change in changes}
    agreement = float(np.mean([kappa(classes, each) for each in changed.values()]))
    return Found(classes, changed, max(0.0, agreement), separation(pixels, classes))


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
    together = weigh_together(list(found.values()))
    for (number, each), figures in zip(found.items(), together, strict=True):
        known = {} if scene.mask is None else overlaps(each, scene.mask)
        attempts[number] = Attempt({**figures, **known}, attempts[number].seconds)
    return list(attempts.values())


def weigh_together(found: Sequence[Found]) -> list[Mapping[Metric, float]]:
    """Measure what speaks for each of several methods on one image, without labels.

    Returns
    -------
    list
        `PLAUSIBILITY`, by which methods are ranked, is `CONSISTENCY` x the square root of `SEPARATION` x
        `CONSENSUS`; all in [0, 1].
    """
    trust = [each.consistency * math.sqrt(each.separation) for each in found]
    shares = consensus([each.classes for each in found], trust)
    return [
        {
            Metric.PLAUSIBILITY: each.consistency * math.sqrt(each.separation * share),
            Metric.CONSISTENCY: each.consistency,
            Metric.SEPARATION: each.separation,
            Metric.CONSENSUS: share,
        }
        for each, share in zip(found, shares, strict=True)
    ]


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
