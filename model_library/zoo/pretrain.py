"""Making a network of the library from its recipe."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from model_library.cards.card import NetworkCard, TrainingData
from model_library.errors import RecipeError
from model_library.networks.build import build
from model_library.networks.facts import facts
from model_library.training.fit import FitProgress, fit
from model_library.training.pairs import DegradedPairs, LabelledPairs, PairSource
from model_library.zoo.pools import micrographs, simulated, simulated_data
from model_library.zoo.recipe import PretrainRecipe
from model_library.zoo.registry import Library

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
    specimens = simulated(recipe.specimens, rng)
    seen = simulated_data(recipe.specimens)
    if recipe.label is not None:
        missing = [specimen for specimen in specimens if recipe.label not in specimen.labels]
        if missing:
            raise RecipeError(
                f"{recipe.id}: expected specimens with a mask '{recipe.label}', found one with "
                f"{', '.join(missing[0].labels) or 'none'}; correct label or kinds"
            )
        labelled = [(item.intensity, item.labels[recipe.label].astype(np.float32)) for item in specimens]
        return LabelledPairs(labelled, recipe.variations), (seen,)
    squares, real = micrographs(recipe.micrographs, data, recipe.specimens.side_px)
    pool = [*(item.intensity for item in specimens), *squares]
    return DegradedPairs(pool, recipe.variations), (seen, *real)
