"""The command that makes a network: recipe in, folder of the library out, however often interrupted."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console

from model_library.cards.card import NetworkCard
from model_library.images.durable import write_durably
from model_library.signing.digests import sha256_file
from model_library.training.checkpoint import Checkpointing
from model_library.training.config import DeviceName, FitConfig, PrecisionName
from model_library.training.curve import LiveCurve, points_of, write_curve
from model_library.training.distributed import joined
from model_library.training.fit import FitResult
from model_library.training.progress import FitProgress
from model_library.zoo.live import live
from model_library.zoo.pretrain import pretrain
from model_library.zoo.recipe import PretrainRecipe, read_recipe
from model_library.zoo.registry import Library
from model_library.zoo.store import save_network

CHECKPOINT_FOLDER, CURVE_FILE, CURVE_PICTURE = "checkpoint", "curve.jsonl", "curve.png"


@dataclass(frozen=True, slots=True)
class Pretraining:
    """What one run of the command is to do.

    Attributes
    ----------
    recipe
        Its file.
    library
        Written to, into a folder named by the id.
    data
        Folder of real micrographs.
    threads
        Of torch.
    device, precision
        Instead of the recipe's; None leaves its own.
    checkpoint_every_s
        Seconds after which the state is written, at the latest.
    afresh
        Whether the state of an interrupted run is dropped instead of continued.
    """

    recipe: Path
    library: Library
    data: Path | None = None
    threads: int = 1
    device: DeviceName | None = None
    precision: PrecisionName | None = None
    checkpoint_every_s: float = 60.0
    afresh: bool = False


def run_pretraining(wanted: Pretraining) -> NetworkCard | None:
    """Train, or go on training, and write the network with its curve.

    Returns
    -------
    The card; None in a process that helps another one (see `training.distributed`).

    Raises
    ------
    RecipeError, UnknownNetwork, CheckpointError
        See `pretrain`.
    """
    torch.set_num_threads(wanted.threads)
    recipe = _adjusted(read_recipe(wanted.recipe), wanted)
    folder = wanted.library.folder / recipe.id
    with joined() as team:
        console = Console(stderr=True, quiet=not team.leads)
        if wanted.afresh and team.leads:
            shutil.rmtree(folder / CHECKPOINT_FOLDER, ignore_errors=True)
        team.any(False)
        curve = LiveCurve(folder / CURVE_FILE)
        with live(console) as show:
            made = pretrain(
                recipe,
                # A new library need not hold the network that training starts from.
                library=wanted.library if recipe.start in wanted.library.ids() else Library(),
                data=wanted.data,
                progress=telling_both(curve.tell, show),
                provenance=f"recipe {wanted.recipe.name}, SHA-256 {sha256_file(wanted.recipe)}",
                checkpointing=Checkpointing(folder / CHECKPOINT_FOLDER, every_s=wanted.checkpoint_every_s),
            )
        if not team.leads:
            return None
        card = save_network(folder, made.module, made.card)
        write_curve_files(folder, made.result, recipe.fit, console)
        shutil.rmtree(folder / CHECKPOINT_FOLDER)
        return card


def _adjusted(recipe: PretrainRecipe, wanted: Pretraining) -> PretrainRecipe:
    changes = {
        key: value
        for key, value in (("device", wanted.device), ("precision", wanted.precision))
        if value is not None
    }
    return recipe.model_copy(update={"fit": recipe.fit.model_copy(update=changes)})


def telling_both(*tellers: Callable[[FitProgress], None]) -> Callable[[FitProgress], None]:
    """Tell every one of several listeners of each step."""

    def tell(now: FitProgress) -> None:
        for each in tellers:
            each(now)

    return tell


def write_curve_files(folder: Path, result: FitResult, config: FitConfig, console: Console) -> None:
    """Write the whole curve of a training as lines of JSON and, where matplotlib is, as a picture."""
    points = points_of(result.losses, result.judgements, config)
    write_curve(folder / CURVE_FILE, points)
    try:
        from model_library.training.curve_plot import curve_png

        picture = curve_png(points)
    except ModuleNotFoundError as missing:
        console.print(
            f"no {CURVE_PICTURE}: {missing.name} is missing (pip install 'synoptic[benchmark]')", markup=False
        )
        return
    write_durably(folder / CURVE_PICTURE, picture)
