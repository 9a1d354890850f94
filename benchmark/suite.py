"""Held-out specimens, simulated or real: what the scores on a card are measured on."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmark.cases import Case, Labels, Truth
from model_library.zoo.labelled import labelled_micrographs
from model_library.zoo.pools import simulated

if TYPE_CHECKING:
    from model_library.zoo.recipe import PretrainRecipe

HELD_OUT_SEED_OFFSET = 1_000_000
"""Added to the recipe's seed, so that no specimen here was ever trained on: training draws its
specimens from the seed itself."""

TUNING_PIXELS = 1_500_000
"""Classical algorithms are tried dozens of times on every real image."""

_TUNING, _SCORED = 2, 3


def tuning_cases(recipe: "PretrainRecipe", images: int, data: Path | None = None) -> tuple[Case, ...]:
    """Specimens to tune classical algorithms on; real ones are those that the network learned from.

    Of these as many as `TUNING_PIXELS` allow, specimens in turn.
    """
    if not recipe.labelled:
        return _simulated(recipe, images, _TUNING)
    seen: Counter[str] = Counter()
    turns: list[tuple[int, Case]] = []
    for case in _real(recipe, data, held_out=False):
        specimen = case.field.partition(":")[0]
        seen[specimen] += 1
        turns.append((seen[specimen], case))
    chosen: list[Case] = []
    for _, case in sorted(turns, key=lambda turn: turn[0])[:images]:
        if sum(each.input.size for each in chosen) < TUNING_PIXELS:
            chosen.append(case)
    return tuple(chosen)


def scored_cases(recipe: "PretrainRecipe", images: int, data: Path | None = None) -> tuple[Case, ...]:
    """Specimens to score on, others than the tuning ones; real ones if the recipe holds some out."""
    if recipe.labelled:
        return _real(recipe, data, held_out=True)[:images]
    return _simulated(recipe, images, _SCORED)


def _real(recipe: "PretrainRecipe", data: Path | None, *, held_out: bool) -> tuple[Case, ...]:
    """Labelled micrographs at the first sampling of each folder, each a field."""
    first = {source.folder: source for source in reversed(recipe.labelled)}
    return tuple(
        Case(f"{image.specimen}:{image.path.stem}", image.path.stem, image.pixels, Labels(image.mask))
        for source in first.values()
        for image in labelled_micrographs(source, recipe.label or "", data, held_out=held_out)
    )


def _simulated(recipe: "PretrainRecipe", images: int, purpose: int) -> tuple[Case, ...]:
    """Render, restyle and acquire specimens in the recipe's own ranges; each is a field of its own.

    Counts and truth as the recipe's detector gives them; the data range of the truth is its
    maximum - minimum.
    """
    rng = np.random.default_rng([recipe.fit.seed + HELD_OUT_SEED_OFFSET, purpose])
    pool = recipe.specimens
    assert pool is not None
    specimens = simulated(pool.model_copy(update={"images": images}), rng)
    cases = []
    for number, specimen in enumerate(specimens):
        clean = recipe.variations.restyle(specimen.intensity, rng)
        acquired, truth = recipe.variations.acquire(clean, rng)
        kind = pool.kinds[number % len(pool.kinds)]
        reference = Truth.of(truth) if recipe.label is None else Labels(specimen.labels[recipe.label])
        cases.append(Case(f"{purpose}:{number}", f"{kind} {number}", acquired, reference))
    return tuple(cases)
