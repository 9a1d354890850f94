"""How the library that planted instruments choose from is made: what ships, and short retrainings.

The retrainings follow the recipes of the library for a few steps, with specimens, looks and ranges of
their own, so that each serves some instruments better and others worse.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from model_library.inference.weights import LoadedNetwork
from model_library.signing.digests import sha256_bytes
from model_library.zoo.pretrain import pretrain
from model_library.zoo.recipe import PretrainRecipe, SpecimenPool, read_recipe, recipe_path
from model_library.zoo.registry import Library
from model_library.zoo.store import save_network

Ranges = Mapping[str, tuple[float, float] | float | None]
"""What a retraining changes in the `Variations` of the recipe that it starts from."""

PlantedTask = Literal["denoise", "segment"]

SPECIMENS = 32
"""Simulated specimens that one retraining learns from."""


@dataclass(frozen=True)
class Specialist:
    """A short retraining by the recipe of a network that ships.

    Attributes
    ----------
    name
        Ends the id of the network.
    base
        Id of the network whose recipe and weights it starts from.
    ranges
        What its variations change.
    pool
        What its pool of specimens changes.
    steps, learning_rate, patch_px
        How long, how fast and on how much it is trained.
    fresh
        Whether it starts from nothing but the base's architecture.
    network
        What its architecture changes; weights go over where they fit.
    label
        The structure of its specimens that a segmenting one learns to find; None as the base does.
    """

    name: str
    base: str
    ranges: Ranges
    pool: Mapping[str, Any] = field(default_factory=dict)
    steps: int = 120
    learning_rate: float = 7e-4
    patch_px: int = 48
    fresh: bool = False
    network: Mapping[str, Any] = field(default_factory=dict)
    label: str | None = None

    def recipe(self, seed: int) -> PretrainRecipe:
        """Write the recipe out: that of the base, with other ranges, specimens and fit."""
        base = read_recipe(recipe_path(self.base))
        drawn = base.specimens.model_dump() if base.specimens else {}
        fit = base.fit.model_copy(
            update={
                "steps": self.steps,
                "batch": 8,
                "patch_px": self.patch_px,
                "learning_rate": self.learning_rate,
                "seed": seed,
                # The average of so few steps would be of those at the start.
                "ema": 0.95,
                "precision": "fp32",
            }
        )
        changed = {
            "id": f"planted-{self.name}",
            "purpose": f"Of the planted benchmark: {self.base} retrained as its recipe says.",
            "start": None if self.fresh else self.base,
            "network": base.network.model_copy(update=dict(self.network)),
            "specimens": SpecimenPool.model_validate({**drawn, "images": SPECIMENS, **self.pool}),
            "micrographs": (),
            "labelled": (),
            "label": self.label or base.label,
            "variations": base.variations.model_copy(update=dict(self.ranges)),
            "fit": fit,
        }
        return PretrainRecipe.model_validate(base.model_copy(update=changed).model_dump())


def prepare(
    shipped: Sequence[str],
    specialists: Sequence[Specialist],
    work: Path,
    *,
    tell: Callable[[str], None] | None = None,
) -> tuple[LoadedNetwork, ...]:
    """Load a library; retrainings that are not in the work folder yet are made and kept there.

    Parameters
    ----------
    shipped
        Ids of networks that ship.
    work
        Keeps each retraining under the digest of its recipe, so that a changed recipe trains anew.
    """
    source = Library()
    networks = [source.load(each) for each in shipped]
    for number, specialist in enumerate(specialists):
        recipe = specialist.recipe(seed=100 + number)
        shelf = work / sha256_bytes(recipe.model_dump_json().encode())[:16]
        if recipe.id not in Library(shelf).ids():
            if tell is not None:
                tell(f"training {recipe.id} ({recipe.fit.steps} steps)")
            made = pretrain(recipe, library=source, data=None)
            save_network(shelf / recipe.id, made.module, made.card)
        networks.append(Library(shelf).load(recipe.id))
    return tuple(networks)
