"""Images with their objects, simulated and labelled by people, for networks that find instances."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model_library.cards.card import TrainingData
from model_library.errors import RecipeError
from model_library.images.frame import Grey
from model_library.specimens import Instances
from model_library.training.material import Demand, MaterialImage, refuse_unfit
from model_library.zoo.labelled import LabelledMicrograph, labelled_micrographs, places, training_data
from model_library.zoo.pools import simulated, simulated_data, to_unit
from model_library.zoo.recipe import PretrainRecipe

Square = tuple[Grey, Instances]
"""Pixels [Y, X] in [0, 1], and the numbers of the objects in them, int32 [L, Y, X]."""


@dataclass(frozen=True, slots=True)
class ObjectPool:
    """What a network that finds instances learns from; `seen` is for the card."""

    squares: tuple[Square, ...]
    seen: tuple[TrainingData, ...]


def object_pool(recipe: PretrainRecipe, data: Path | None) -> ObjectPool:
    """Render, read, check and cut all images of a recipe, each with the objects of its label.

    Raises
    ------
    RecipeError
        An image cannot be trained on, or its labels do not tell objects apart.
    """
    squares: list[Square] = []
    seen: list[TrainingData] = []
    if recipe.specimens is not None:
        rng = np.random.default_rng([recipe.fit.seed, 1])
        for specimen in simulated(recipe.specimens, rng):
            squares.append(
                (specimen.intensity, _told_apart(recipe, specimen.instances.get(recipe.label or "")))
            )
        seen.append(simulated_data(recipe.specimens))
    for source in recipe.labelled:
        images = labelled_micrographs(source, recipe.label or "", data, held_out=False)
        _check(images, recipe)
        squares += [square for image in images for square in _cut(image, recipe, source.side_px)]
        seen.append(training_data(source, images))
    return ObjectPool(tuple(squares), tuple(seen))


def _cut(image: LabelledMicrograph, recipe: PretrainRecipe, side_px: int) -> Iterator[Square]:
    pixels, objects = to_unit(image.pixels), _told_apart(recipe, image.instances)
    for top in places(pixels.shape[0], side_px):
        for left in places(pixels.shape[1], side_px):
            window = (..., slice(top, top + side_px), slice(left, left + side_px))
            yield pixels[window], objects[window]


def _told_apart(recipe: PretrainRecipe, objects: Instances | None) -> Instances:
    if objects is None:
        raise RecipeError(
            f"{recipe.id}: expected objects of {recipe.label} that are told apart (a network that finds "
            "instances), found a mask alone; name polygons as labels"
        )
    return objects


def _check(images: tuple[LabelledMicrograph, ...], recipe: PretrainRecipe) -> None:
    named = [
        MaterialImage(str(image.path), image.pixels, classes=image.mask.astype(np.uint8)) for image in images
    ]
    names = ("background", recipe.label or "")
    refuse_unfit(named, Demand(side_px=recipe.fit.patch_px, classes=names, negatives=True))
