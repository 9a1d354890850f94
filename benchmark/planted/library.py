"""The library that planted instruments choose from: what ships, and short retrainings that went other ways.

The retrainings follow the recipes of the library, from weights that ship, for a few steps in ranges of
their own, so that each serves some instruments better and others worse than what it started from.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from model_library.inference.weights import LoadedNetwork
from model_library.signing.digests import sha256_bytes
from model_library.specimens import SpecimenKind
from model_library.zoo.pretrain import pretrain
from model_library.zoo.recipe import PretrainRecipe, read_recipe, recipe_path
from model_library.zoo.registry import Library
from model_library.zoo.store import save_network

Ranges = Mapping[str, tuple[float, float] | float | None]
"""What a retraining changes in the `Variations` of the recipe that it starts from."""

PlantedTask = Literal["denoise", "segment"]

SPECIMENS = 32
"""Simulated specimens that one retraining learns from."""


@dataclass(frozen=True)
class Specialist:
    """A short retraining of a network that ships.

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
    steps, learning_rate
        How long, and how fast, it is trained.
    fresh
        Whether it starts from nothing but the base's architecture.
    """

    name: str
    base: str
    ranges: Ranges
    pool: Mapping[str, Any] | None = None
    steps: int = 120
    learning_rate: float = 7e-4
    fresh: bool = False

    def recipe(self, seed: int) -> PretrainRecipe:
        """Write the recipe out: that of the base, with other ranges, specimens and fit."""
        base = read_recipe(recipe_path(self.base))
        assert base.specimens is not None
        pool = base.specimens.model_copy(update={"images": SPECIMENS, **(self.pool or {})})
        fit = base.fit.model_copy(
            update={
                "steps": self.steps,
                "batch": 8,
                "patch_px": 48,
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
            "specimens": pool,
            "micrographs": (),
            "labelled": (),
            "variations": base.variations.model_copy(update=dict(self.ranges)),
            "fit": fit,
        }
        return PretrainRecipe.model_validate(base.model_copy(update=changed).model_dump())


SHIPPED: Mapping[PlantedTask, tuple[str, ...]] = MappingProxyType(
    {
        "denoise": (
            "residual-denoise-mixed",
            "unet-denoise-micrographs",
            "unet-denoise-read",
            "unet-denoise-sem",
            "unet-denoise-shot",
        ),
        "segment": ("unet-segment-precipitates", "unet-segment-superalloy"),
    }
)

_DENOISE, _SEGMENT = "unet-denoise-shot", "unet-segment-precipitates"

SPECIALISTS: Mapping[PlantedTask, tuple[Specialist, ...]] = MappingProxyType(
    {
        "denoise": (
            Specialist("faint", _DENOISE, {"electrons_per_pixel": (1.0, 6.0), "read_sigma": (0.002, 0.01)}),
            Specialist("clear", _DENOISE, {"electrons_per_pixel": (1500, 20000), "read_sigma": None}),
            Specialist("amplifier", _DENOISE, {"electrons_per_pixel": (500, 5000), "read_sigma": (0.2, 0.5)}),
            Specialist("blurred", _DENOISE, {"electrons_per_pixel": (5, 200), "blur_px": (1.5, 3.5)}),
            Specialist("local", _DENOISE, {"electrons_per_pixel": None, "local_share": (0.02, 0.1)}),
            Specialist(
                "lattice",
                _DENOISE,
                {"electrons_per_pixel": (10, 200)},
                {"kinds": (SpecimenKind.ATOMS,), "zoom": (0.4, 0.8)},
            ),
            Specialist("hasty", _DENOISE, {}, steps=60, learning_rate=2e-3, fresh=True),
        ),
        "segment": (
            Specialist("grainy", _SEGMENT, {"electrons_per_pixel": (2, 15), "read_sigma": (0.05, 0.2)}),
            Specialist("clean", _SEGMENT, {"electrons_per_pixel": (2000, 20000), "read_sigma": None}),
            Specialist(
                "dark",
                _SEGMENT,
                {},
                {"only_bright": None, "only_dark": "precipitate"},
                steps=160,
                learning_rate=2e-3,
            ),
            Specialist("both", _SEGMENT, {}, {"only_bright": None}),
            Specialist("fine", _SEGMENT, {"electrons_per_pixel": (30, 500)}, {"zoom": (0.3, 0.5)}),
            Specialist("coarse", _SEGMENT, {"electrons_per_pixel": (30, 500)}, {"zoom": (2.0, 3.0)}),
            Specialist("pale", _SEGMENT, {"contrast": (0.1, 0.3)}),
            Specialist("soft", _SEGMENT, {"blur_px": (2.0, 4.0), "electrons_per_pixel": (30, 500)}),
            Specialist("early", _SEGMENT, {}, steps=60, learning_rate=2e-3, fresh=True),
            Specialist("raw", _SEGMENT, {}, steps=20, learning_rate=1e-3, fresh=True),
        ),
    }
)
"""By task; the names tell what each was retrained for."""


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
