"""Training the random forest on labelled images, and tuning what follows it on images that it did not see."""

from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from benchmark.baselines.family import Family
from benchmark.baselines.forest import Forest, Growth, grow
from benchmark.baselines.numbered import Numbered
from benchmark.baselines.pixel_classifier import (
    FOREST_ID,
    PixelClassifier,
    PixelProbability,
    pixel_codes,
    smoothed,
)
from benchmark.baselines.pixel_features import pixel_features
from benchmark.baselines.tuning import tune
from benchmark.cases import Case, default_metric, inside, score
from benchmark.errors import BenchmarkError
from benchmark.metrics import Metric
from model_library.images.frame import Grey
from model_library.images.intensity import Scaling
from model_library.wire.methods import ClassicalRef

GROWTH = Growth()
"""Of a rival that is given its best chance."""
_FOLDS = 3
_MOST_SAMPLES = 24_000
_DEPTHS = (4, 8, 12)
_SIGMAS_PX = (0.0, 0.7, 1.4, 2.8)
_LEVELS = tuple(round(0.05 * step, 2) for step in range(1, 20))

_Samples = tuple[NDArray[np.float32], NDArray[np.bool_]]
"""Features [F, N], and whether each sample is of the class that is looked for."""
_Unseen = Mapping[int, NDArray[np.float32]]
"""Depth -> probability of every pixel [Y * X] of an image, by trees that did not see it."""


def train_pixel_classifier(
    cases: Sequence[Case], *, metric: Metric | None = None, seed: int = 0, growth: Growth | None = None
) -> PixelClassifier:
    """Train a forest on labelled images, and tune depth, smoothing and level on images that it did not see.

    Each third of the images is judged by trees that grew on the others (of a single image each half by
    those of the other); the forest that is returned grew on all of them.

    Parameters
    ----------
    cases
        Of tuning fields only, with masks for references.
    metric
        By default Dice.
    seed
        Draws samples, bootstraps and features.

    Raises
    ------
    BenchmarkError
        Without labelled cases.
    """
    forest, unseen = _cross_fitted(cases, growth or GROWTH, seed)
    metric = metric or default_metric(cases[0].reference)
    best: tuple[float, PixelClassifier] | None = None
    for depth, sigma_px in product(unseen[0], _SIGMAS_PX):
        maps = [
            smoothed(each[depth], case.input.shape, sigma_px)
            for each, case in zip(unseen, cases, strict=True)
        ]
        for level in _LEVELS:
            value = metric.sign * _mean_score(maps, level, cases, metric)
            if best is None or value > best[0]:
                best = value, PixelClassifier(PixelProbability(forest, depth, sigma_px), level)
    assert best is not None
    return best[1]


def train_numbered_pixels(
    family: Family, cases: Sequence[Case], *, seed: int = 0, growth: Growth | None = None
) -> Numbered:
    """Train a forest on numbered objects or cells, and tune their numbering on images that it did not see.

    Parameters
    ----------
    family
        What numbers them: it looks for bright things in a probability, which are objects, or the membranes
        between cells.
    cases
        Of tuning fields only, whose references are objects or cells.

    Raises
    ------
    BenchmarkError
        Without labelled cases.
    """
    forest, unseen = _cross_fitted(cases, growth or GROWTH, seed)
    seen = [
        Case(case.field, case.name, smoothed(each[forest.depth], case.input.shape, 0.0), case.reference)
        for each, case in zip(unseen, cases, strict=True)
    ]
    numbering = tune(family, seen)
    ref = ClassicalRef(id=FOREST_ID, parameters=dict(numbering.parameters))
    return Numbered(PixelProbability(forest, forest.depth), numbering, ref)


def _mean_score(maps: Sequence[Grey], level: float, cases: Sequence[Case], metric: Metric) -> float:
    found = [
        score((each > level).astype(np.float32), case.reference, metric)
        for each, case in zip(maps, cases, strict=True)
    ]
    return float(np.mean(found))


def _cross_fitted(cases: Sequence[Case], growth: Growth, seed: int) -> tuple[Forest, list[_Unseen]]:
    """Grow a forest on all images, and judge each (or half of a single one) by one that did not see it."""
    if not cases:
        raise BenchmarkError(f"expected labelled images for {FOREST_ID}, found none; send labels first")
    rng = np.random.default_rng([seed, 21])
    masks = [inside(case.reference) for case in cases]
    parts = [(number, np.ones(mask.shape, dtype=bool)) for number, mask in enumerate(masks)]
    if len(cases) == 1:
        parts = [(0, half) for half in _halves(cases[0].input)]
    most = max(1, _MOST_SAMPLES // len(parts))
    sampled = [_samples(cases[number].input, masks[number], part, most, rng) for number, part in parts]
    whole = _grown(sampled, growth, rng)
    depths = sorted({*(min(depth, growth.depth) for depth in _DEPTHS), growth.depth})
    found = [{depth: np.zeros(mask.size, dtype=np.float32) for depth in depths} for mask in masks]
    folds = min(_FOLDS, len(parts))
    for fold in range(folds):
        forest = _grown([each for number, each in enumerate(sampled) if number % folds != fold], growth, rng)
        for number, part in parts[fold::folds]:
            codes, judged = pixel_codes(forest, cases[number].input), part.ravel()
            for depth, each in forest.probabilities(codes[:, judged], depths).items():
                found[number][depth][judged] = each
    return whole, list(found)


def _halves(pixels: Grey) -> list[NDArray[np.bool_]]:
    left = np.zeros(pixels.shape, dtype=bool)
    left[:, : pixels.shape[1] // 2] = True
    return [left, ~left]


def _samples(
    pixels: Grey, mask: NDArray[np.bool_], part: NDArray[np.bool_], most: int, rng: np.random.Generator
) -> _Samples:
    """Draw pixels of a part of an image; of a rare class all, up to half of the samples."""
    rare = mask if mask[part].mean() <= 0.5 else ~mask
    few, many = (np.flatnonzero(part & each) for each in (rare, ~rare))
    drawn = rng.permutation(few)[: most // 2]
    drawn = np.concatenate([drawn, rng.permutation(many)[: most - len(drawn)]])
    features = pixel_features(Scaling.of(pixels).apply(pixels))
    return np.stack([each.ravel()[drawn] for each in features]), mask.ravel()[drawn]


def _grown(sampled: Sequence[_Samples], growth: Growth, rng: np.random.Generator) -> Forest:
    features, second = (np.concatenate(each, axis=-1) for each in zip(*sampled, strict=True))
    return grow(features, second, growth, rng)
