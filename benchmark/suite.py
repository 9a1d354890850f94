"""Held-out specimens, simulated or real: what the scores on a card are measured on."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmark.cases import Case, Labels, Truth
from benchmark.held_out import held_out_cases, holds_out, seen_cases
from model_library.zoo.pools import simulated

if TYPE_CHECKING:
    from model_library.zoo.recipe import PretrainRecipe

HELD_OUT_SEED_OFFSET = 1_000_000
"""Added to the recipe's seed, so that no specimen here was ever trained on: training draws its
specimens from the seed itself."""

_TUNING, _SCORED = 2, 3


def tuning_cases(recipe: "PretrainRecipe", images: int, data: Path | None = None) -> tuple[Case, ...]:
    """Specimens to tune classical algorithms on; real ones are those that the network learned from."""
    return seen_cases(recipe, images, data) if holds_out(recipe) else _simulated(recipe, images, _TUNING)


def scored_cases(recipe: "PretrainRecipe", images: int, data: Path | None = None) -> tuple[Case, ...]:
    """Specimens to score on, others than the tuning ones; real ones if the recipe holds some out."""
    return held_out_cases(recipe, images, data) if holds_out(recipe) else _simulated(recipe, images, _SCORED)


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
