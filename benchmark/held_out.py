"""Labelled micrographs of specimens that a recipe holds out, and those to tune classical algorithms on."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.cases import Case, Instances, Labels
from benchmark.slices import slice_cases
from model_library.zoo.labelled import LabelledMicrograph, labelled_micrographs
from model_library.zoo.stacks import labelled_stack

if TYPE_CHECKING:
    from model_library.zoo.recipe import LabelledSource, PretrainRecipe

TUNING_SIDE_PX, TUNING_PIXELS = 640, 1_200_000
"""Classical algorithms are tried dozens of times on every image: the middle of a few has to do."""


def holds_out(recipe: "PretrainRecipe") -> bool:
    """Whether a recipe keeps real micrographs, or slices, from its training."""
    return bool(recipe.labelled) or recipe.stack is not None


def told(recipe: "PretrainRecipe") -> str:
    """Say what a recipe holds out."""
    if recipe.stack is not None:
        first, last = recipe.stack.held_out
        return f"{recipe.stack.folder}/{recipe.stack.image}, every fourth slice of {first} to {last}"
    return "; ".join(
        f"{source.folder}, specimens {', '.join(source.held_out)}"
        + (f", binned {source.bin} x {source.bin}" if source.bin > 1 else "")
        for source in _first_samplings(recipe)
    )


def held_out_cases(
    recipe: "PretrainRecipe", at_most: int, data: Path | None, *, objects: bool = False
) -> tuple[Case, ...]:
    """Whole micrographs, each a field, with the structure's mask or its objects as the reference."""
    if recipe.stack is not None:
        return slice_cases(labelled_stack(recipe.stack, data, held_out=True), at_most)
    images = _images(recipe, data, held_out=True)[:at_most]
    return tuple(_case(image, (slice(None), slice(None)), objects) for image in images)


def seen_cases(
    recipe: "PretrainRecipe", at_most: int, data: Path | None, *, objects: bool = False
) -> tuple[Case, ...]:
    """Micrographs that training saw, for tuning: the middle of each, specimens in turn."""
    if recipe.stack is not None:
        cases = slice_cases(labelled_stack(recipe.stack, data, held_out=False), at_most=10**6)
        return cases[:: -(-len(cases) // at_most)]
    turns: Counter[str] = Counter()
    order: list[tuple[int, Case]] = []
    for image in _images(recipe, data, held_out=False):
        turns[image.specimen] += 1
        order.append((turns[image.specimen], _case(image, _middle(image.mask.shape), objects)))
    chosen: list[Case] = []
    for _, case in sorted(order, key=lambda turn: turn[0])[:at_most]:
        if sum(each.input.size for each in chosen) < TUNING_PIXELS:
            chosen.append(case)
    return tuple(chosen)


def _case(image: LabelledMicrograph, window: tuple[slice, slice], objects: bool) -> Case:
    name, reference = image.path.stem, Labels(image.mask[window])
    field = f"{image.specimen}:{name}"
    if objects and image.instances is not None:
        return Case(field, name, image.pixels[window], Instances(image.instances[0][window]))
    return Case(field, name, image.pixels[window], reference)


def _images(recipe: "PretrainRecipe", data: Path | None, *, held_out: bool) -> list[LabelledMicrograph]:
    return [
        image
        for source in _first_samplings(recipe)
        for image in labelled_micrographs(source, recipe.label or "", data, held_out=held_out)
    ]


def _first_samplings(recipe: "PretrainRecipe") -> "Sequence[LabelledSource]":
    return list({source.folder: source for source in reversed(recipe.labelled)}.values())


def _middle(shape: tuple[int, ...]) -> tuple[slice, slice]:
    rows, columns = (
        slice(max(0, (side - TUNING_SIDE_PX) // 2), max(0, (side - TUNING_SIDE_PX) // 2) + TUNING_SIDE_PX)
        for side in shape
    )
    return rows, columns
