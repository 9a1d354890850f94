"""From a recipe to the pairs that a network learns from, and those that say when it has learnt enough."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from model_library.cards.card import TrainingData
from model_library.errors import RecipeError
from model_library.images.frame import Grey
from model_library.networks.config import MaskRCNNConfig
from model_library.specimens import Specimen
from model_library.training.borders import border_weights, components
from model_library.training.instances import DegradedInstances
from model_library.training.material import Demand, MaterialImage, refuse_shared, refuse_unfit
from model_library.training.objectives import InstanceObjective, Objective, PairObjective
from model_library.training.pairs import DegradedPairs, LabelledPairs
from model_library.zoo.labelled import (
    LabelledMicrograph,
    class_image,
    labelled_micrographs,
    squares,
    training_data,
)
from model_library.zoo.objects import object_pool
from model_library.zoo.pools import micrographs, simulated, simulated_data, to_unit
from model_library.zoo.recipe import PretrainRecipe, StackSource
from model_library.zoo.stacks import labelled_stack, slice_pairs, stack_data

HELD_OUT_SHARE = 1 / 8
"""Of the images of each source, where training may end early."""

T = TypeVar("T")


class Part(StrEnum):
    """Which images of a source are meant."""

    WHOLE = "whole"
    LEARNT = "learnt"
    JUDGED = "judged"

    def of(self, items: Sequence[T], sizes: Sequence[int]) -> Sequence[T]:
        """Take this part, in the order given: an eighth judges, of one image alone nothing does.

        Of images of unequal sizes the smallest judge, of equal ones the last: so a source that is
        named twice, at two samplings, is parted in the same way.
        """
        if self is Part.WHOLE:
            return items
        count = 0 if len(items) < 2 else max(1, round(HELD_OUT_SHARE * len(items)))
        held = set(sorted(range(len(items)), key=lambda index: (sizes[index], -index))[:count])
        return [item for index, item in enumerate(items) if (index in held) == (self is Part.JUDGED)]


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a recipe learns from.

    Attributes
    ----------
    objective
        Pairs, and those held out if training may end early.
    seen
        For the card; images that judge count as seen, for they choose the weights.
    sha256
        Of the recipe, but for how it trains, and of every pixel and label.
    """

    objective: Objective
    seen: tuple[TrainingData, ...]
    sha256: str


@dataclass(frozen=True, slots=True)
class _Pool:
    images: list[Grey]
    targets: list[Grey]
    seen: tuple[TrainingData, ...]

    @property
    def arrays(self) -> list[Grey]:
        """Every pixel and label."""
        return [*self.images, *self.targets]

    def pairs(self, recipe: PretrainRecipe) -> DegradedPairs | LabelledPairs:
        if recipe.label is None:
            return DegradedPairs(self.images, recipe.variations)
        return LabelledPairs(list(zip(self.images, self.targets, strict=True)), recipe.variations)


def lesson_of(recipe: PretrainRecipe, data: Path | None) -> Lesson:
    """Render, read, check and cut everything that a recipe names.

    Parameters
    ----------
    recipe
        With early stopping, an eighth of the images of every source, and specimens of their own,
        are held out.
    data
        Folder of real micrographs.

    Raises
    ------
    RecipeError
        An image cannot be trained on, or the recipe names none.
    """
    if recipe.stack is not None:
        return _lesson_of_stack(recipe, recipe.stack, data)
    if isinstance(recipe.network, MaskRCNNConfig):
        return _lesson_of_objects(recipe, data)
    if recipe.fit.early_stopping is None:
        pool = _pool(recipe, data, Part.WHOLE)
        return Lesson(PairObjective(pool.pairs(recipe)), pool.seen, _digest(recipe, pool.arrays))
    learnt, judged = (_pool(recipe, data, part) for part in (Part.LEARNT, Part.JUDGED))
    if not judged.images:
        raise RecipeError(
            f"{recipe.id}: expected images to hold out for early stopping, found one image in each source; "
            "add images or simulated specimens, or leave early_stopping out"
        )
    refuse_shared(*(_named(pool, part) for pool, part in ((learnt, "training"), (judged, "held-out"))))
    objective = PairObjective(learnt.pairs(recipe), held_out=judged.pairs(recipe))
    return Lesson(objective, learnt.seen, _digest(recipe, [*learnt.arrays, *judged.arrays]))


def _lesson_of_stack(recipe: PretrainRecipe, source: StackSource, data: Path | None) -> Lesson:
    stack = labelled_stack(source, data, held_out=False)
    judges = recipe.fit.early_stopping is not None
    slices = range(len(stack.digests))
    learnt, judged = (
        slice_pairs(stack, part.of(slices, [1] * len(slices)), recipe.network.in_channels, recipe.variations)
        for part in ((Part.LEARNT, Part.JUDGED) if judges else (Part.WHOLE, Part.WHOLE))
    )
    digest = _digest(recipe, [learnt.stack, stack.membrane.astype(np.float32)])
    objective = PairObjective(learnt, held_out=judged if judges else None)
    return Lesson(objective, (stack_data(source, stack),), digest)


def _lesson_of_objects(recipe: PretrainRecipe, data: Path | None) -> Lesson:
    pool = object_pool(recipe, data)
    objective = InstanceObjective(DegradedInstances(pool.squares, recipe.variations))
    return Lesson(objective, pool.seen, _digest(recipe, [each for square in pool.squares for each in square]))


def _pool(recipe: PretrainRecipe, data: Path | None, part: Part) -> _Pool:
    specimens: tuple[Specimen, ...] = ()
    seen: tuple[TrainingData, ...] = ()
    if recipe.specimens is not None:
        pool = recipe.specimens
        if part is Part.JUDGED:
            pool = pool.model_copy(update={"images": max(2, round(HELD_OUT_SHARE * pool.images))})
        stream = 3 if part is Part.JUDGED else 1
        specimens = simulated(pool, np.random.default_rng([recipe.fit.seed, stream]))
        seen = (simulated_data(pool),)
    if recipe.label is not None:
        cut, facts_of_real = _real(recipe, data, part)
        drawn = [_labelled(recipe, specimen) for specimen in specimens]
        images, classes = [list(each) for each in zip(*drawn, *cut, strict=True)] or [[], []]
        return _Pool(images, [_weighted(recipe, each) for each in classes], seen + facts_of_real)
    assert recipe.specimens is not None
    found, real = micrographs(
        recipe.micrographs,
        data,
        recipe.specimens.side_px,
        choose=lambda frames: part.of(frames, [frame.pixels.size for frame in frames]),
    )
    return _Pool([*(item.intensity for item in specimens), *found], [], (*seen, *real))


def _labelled(recipe: PretrainRecipe, specimen: Specimen) -> tuple[Grey, Grey]:
    label = recipe.label or ""
    if label not in specimen.labels:
        raise RecipeError(
            f"{recipe.id}: expected specimens with a mask '{label}', found one with "
            f"{', '.join(specimen.labels) or 'none'}; correct label or kinds"
        )
    classes = class_image(specimen.labels[label], specimen.instances.get(label), recipe.border_px)
    return specimen.intensity, classes


def _real(
    recipe: PretrainRecipe, data: Path | None, part: Part
) -> tuple[list[tuple[Grey, Grey]], tuple[TrainingData, ...]]:
    """Squares (unit pixels, classes) of the labelled micrographs, and what the card says of them."""
    pool: list[tuple[Grey, Grey]] = []
    seen: list[TrainingData] = []
    for source in recipe.labelled:
        every = labelled_micrographs(source, recipe.label or "", data, held_out=False)
        _check(every, recipe)
        some: list[tuple[Grey, Grey]] = []
        none: list[tuple[Grey, Grey]] = []
        for image in part.of(every, [image.pixels.size for image in every]):
            unit = replace(image, pixels=to_unit(image.pixels))
            with_it, without = squares(unit, source.side_px, recipe.border_px)
            some += with_it
            none += without
        wanted = min(len(none), round(source.empty_share * len(some)))
        pool += some + [none[number * len(none) // wanted] for number in range(wanted)]
        seen.append(training_data(source, every))
    return pool, tuple(seen)


def _check(images: Sequence[LabelledMicrograph], recipe: PretrainRecipe) -> None:
    named = [
        MaterialImage(str(image.path), image.pixels, classes=image.mask.astype(np.uint8)) for image in images
    ]
    names = ("background", recipe.label or "")
    refuse_unfit(named, Demand(side_px=recipe.fit.patch_px, classes=names, negatives=True))


def _weighted(recipe: PretrainRecipe, classes: Grey) -> Grey:
    """Put the weights behind the classes, [2, Y, X], where the loss wants them."""
    if recipe.fit.loss != "border_cross_entropy":
        return classes
    whole = classes.astype(np.uint8)
    objects = components((whole > 0).astype(np.uint8), of=int(recipe.objects == "label"))
    return np.stack([classes, border_weights(whole, objects)])


def _named(pool: _Pool, part: str) -> list[MaterialImage]:
    return [MaterialImage(f"{part} image {number}", pixels) for number, pixels in enumerate(pool.images)]


def _digest(recipe: PretrainRecipe, arrays: Sequence[NDArray[Any]]) -> str:
    digest = hashlib.sha256(recipe.model_dump_json(exclude={"fit"}).encode())
    for pixels in arrays:
        digest.update(f"{pixels.shape} {pixels.dtype}".encode())
        digest.update(np.ascontiguousarray(pixels).tobytes())
    return digest.hexdigest()
