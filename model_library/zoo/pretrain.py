"""Making a network of the library from its recipe."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from model_library.cards.card import NetworkCard, TrainingData
from model_library.networks.build import build
from model_library.networks.facts import facts
from model_library.networks.folding import fold
from model_library.training.checkpoint import Checkpointing
from model_library.training.fit import FitProgress, FitResult, fit
from model_library.zoo.lesson import lesson_of
from model_library.zoo.recipe import PretrainRecipe
from model_library.zoo.registry import Library

_NO_DIGEST = "0" * 64


@dataclass(frozen=True, slots=True)
class Pretrained:
    """A trained module, folded, and its card, whose digest `save_network` fills in.

    `result` is the training as it ended.
    """

    module: nn.Module
    card: NetworkCard
    result: FitResult


def pretrain(
    recipe: PretrainRecipe,
    *,
    library: Library,
    data: Path | None,
    progress: Callable[[FitProgress], None] | None = None,
    provenance: str = "",
    checkpointing: Checkpointing | None = None,
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
    checkpointing
        Where to keep the training's state, and to go on from if it lies there; what the recipe
        learns from becomes its `data_sha256`.

    Raises
    ------
    RecipeError
        The recipe cannot be followed with these images.
    CheckpointError
        The checkpoint is damaged or another training's.
    UnknownNetwork
        The network to start from is not in the library.
    """
    lesson = lesson_of(recipe, data)
    keeping = None if checkpointing is None else replace(checkpointing, data_sha256=lesson.sha256)
    start = _start(recipe, library)
    result = fit(start, lesson.objective, recipe.fit, progress=progress, checkpointing=keeping)
    module, config = fold(result.module)
    machine = f"torch {torch.__version__}, {torch.get_num_threads()} threads, {result.compute}"
    card = NetworkCard(
        id=recipe.id,
        version=recipe.version,
        purpose=recipe.purpose,
        task=recipe.task,
        config=config,
        facts=facts(config),
        weights_sha256=_NO_DIGEST,
        modality=recipe.modality,
        pixel_size_nm=recipe.pixel_size_nm,
        acquisition=recipe.acquisition,
        training_data=lesson.seen + _inherited(recipe, library),
        recipe=f"{provenance}; {machine}".lstrip("; "),
        seed=recipe.fit.seed,
        limits=recipe.limits,
    )
    return Pretrained(module, card, result)


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
