"""What a segmentation can be held to without labels: itself, the image, and what others find."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.method import Method
from benchmark.metrics import Metric
from benchmark.selection.label_free.agreement import Classes, consensus, kappa, separation
from benchmark.selection.label_free.perturbing import Perturbed
from model_library.images.frame import Grey


@dataclass(frozen=True)
class Found:
    """Classes [Y, X] that a method found in an image, and how consistently."""

    classes: Classes
    consistency: float
    separation: float


def find(method: Method, pixels: Grey, changes: Sequence[Perturbed]) -> Found:
    """Segment an image [Y, X] in counts and its changed versions; refusals are those of the method.

    Consistency under perturbation ranks segmenting networks as their Dice coefficient does (Talks and
    Kreshuk, "Ranking pre-trained segmentation models for zero-shot transferability", 2025), if agreement
    by chance is taken off: the network that finds nothing is the most consistent of all.
    """
    classes = _classes(method, pixels)
    agreements = [kappa(classes, change.back(_classes(method, change.pixels))) for change in changes]
    return Found(classes, max(0.0, float(np.mean(agreements))), separation(pixels, classes))


def weigh_together(found: Sequence[Found]) -> list[Mapping[Metric, float]]:
    """Measure what speaks for each of several methods on one image.

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


def _classes(method: Method, pixels: Grey) -> Classes:
    return np.asarray(method(pixels), dtype=np.int32)
