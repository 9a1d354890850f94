"""Making a network of the library from its recipe."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from model_library.cards.card import NetworkCard, TrainingData
from model_library.errors import RecipeError
from model_library.images.frame import Grey
from model_library.networks.build import build
from model_library.networks.facts import facts
from model_library.specimens import Specimen
from model_library.training.fit import FitProgress, fit
from model_library.training.pairs import DegradedPairs, LabelledPairs, PairSource
from model_library.zoo.labelled import class_image, labelled_micrographs, squares, training_data
from model_library.zoo.pools import micrographs, simulated, simulated_data, to_unit
from model_library.zoo.recipe import PretrainRecipe
from model_library.zoo.registry import Library
from model_library.zoo.stacks import labelled_stack, slice_pairs, stack_data

_NO_DIGEST = "0" * 64


@dataclass(frozen=True, slots=True)
class Pretrained:
    """A trained module and its card, whose digest `save_network` fills in."""

    module: nn.Module
    card: NetworkCard
    losses: tuple[float, ...]


def pretrain(
    recipe: PretrainRecipe,
    *,
    library: Library,
    data: Path | None,
    progress: Callable[[FitProgress], None] | None = None,
    provenance: str = "",
) -> Pretrained:
    """Train a network as its recipe says.

    Parameters
    ----------
    recipe
        What to make.
    library
        Where `recipe.start` is looked up.
    data
        Folder of real micrographs; needed by recipes that name some.
    progress
        Told after every step.
    provenance
        Where the recipe was read, for the card.

    Raises
    ------
    RecipeError
        The recipe cannot be followed with these images.
    UnknownNetwork
        The network to start from is not in the library.
    """
    pairs, seen = _pairs(recipe, data)
    result = fit(_start(recipe, library), pairs, recipe.fit, progress=progress)
    card = NetworkCard(
        id=recipe.id,
        version=recipe.version,
        purpose=recipe.purpose,
        task=recipe.task,
        config=recipe.network,
        facts=facts(recipe.network),
        weights_sha256=_NO_DIGEST,
        pixel_size_nm=recipe.pixel_size_nm,
        training_data=seen + _inherited(recipe, library),
        recipe=f"{provenance}; torch {torch.__version__}, {torch.get_num_threads()} threads".lstrip("; "),
        seed=recipe.fit.seed,
        limits=recipe.limits,
    )
    return Pretrained(result.module, card, result.losses)


def _start(recipe: PretrainRecipe, library: Library) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.fit.seed)
        module = build(recipe.network)
    if recipe.start is not None:
        fresh = module.state_dict()
        begun = library.load(recipe.start).module.state_dict()
        same = {
            key: value for key, value in begun.items() if key in fresh and fresh[key].shape == value.shape
        }
        module.load_state_dict({**fresh, **same})
    return module


def _inherited(recipe: PretrainRecipe, library: Library) -> tuple[TrainingData, ...]:
    if recipe.start is None:
        return ()
    card = library.card(recipe.start)
    return tuple(
        item.model_copy(update={"source": f"{item.source} (through {card.id} {card.version})"})
        for item in card.training_data
    )


def _pairs(recipe: PretrainRecipe, data: Path | None) -> tuple[PairSource, tuple[TrainingData, ...]]:
    rng = np.random.default_rng([recipe.fit.seed, 1])
    specimens: tuple[Specimen, ...] = ()
    seen: tuple[TrainingData, ...] = ()
    if recipe.specimens is not None:
        specimens, seen = simulated(recipe.specimens, rng), (simulated_data(recipe.specimens),)
    if recipe.stack is not None:
        stack = labelled_stack(recipe.stack, data, held_out=False)
        pairs = slice_pairs(stack, recipe.network.in_channels, recipe.variations)
        return pairs, (stack_data(recipe.stack, stack),)
    if recipe.label is not None:
        drawn = [_labelled(recipe, specimen) for specimen in specimens]
        cut, facts_of_real = _real(recipe, data)
        return LabelledPairs([*drawn, *cut], recipe.variations), seen + facts_of_real
    assert recipe.specimens is not None
    squares, real = micrographs(recipe.micrographs, data, recipe.specimens.side_px)
    pool = [*(item.intensity for item in specimens), *squares]
    return DegradedPairs(pool, recipe.variations), (*seen, *real)


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
    recipe: PretrainRecipe, data: Path | None
) -> tuple[list[tuple[Grey, Grey]], tuple[TrainingData, ...]]:
    """Squares (unit pixels, classes) of the labelled micrographs, and what the card says of them."""
    pool: list[tuple[Grey, Grey]] = []
    seen: list[TrainingData] = []
    for source in recipe.labelled:
        images = labelled_micrographs(source, recipe.label or "", data, held_out=False)
        some: list[tuple[Grey, Grey]] = []
        none: list[tuple[Grey, Grey]] = []
        for image in images:
            unit = replace(image, pixels=to_unit(image.pixels))
            with_it, without = squares(unit, source.side_px, recipe.border_px)
            some += with_it
            none += without
        wanted = min(len(none), round(source.empty_share * len(some)))
        pool += some + [none[number * len(none) // wanted] for number in range(wanted)]
        seen.append(training_data(source, images))
    return pool, tuple(seen)
