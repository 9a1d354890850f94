"""Denoisers from a site's own noisy frames: no clean image is needed, and none is known to judge by."""

import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from rich.console import Console
from torch import nn

from model_library.cards.card import NetworkCard
from model_library.degradation.noise import NoiseModel
from model_library.degradation.recorruption import recorrupt, repeat_risk
from model_library.errors import RecipeError
from model_library.images.frame import Frame, Grey
from model_library.inference.engine import NetworkMethod
from model_library.inference.weights import LoadedNetwork
from model_library.networks.build import build, in_channels
from model_library.networks.config import NetworkConfig, ResidualDenoiserConfig, UNetConfig
from model_library.networks.folding import fold
from model_library.training.checkpoint import Checkpointing
from model_library.training.config import EarlyStopping, FitConfig
from model_library.training.curve import LiveCurve
from model_library.training.fit import FitResult, fit
from model_library.training.material import Demand, MaterialImage, refuse_unfit
from model_library.training.objectives import PairObjective
from model_library.training.pairs import PairSource
from model_library.training.self_supervised import BlindSpotPairs, RepeatedPairs
from model_library.wire.tasks import Denoise
from model_library.zoo.live import live
from model_library.zoo.own_frames import OwnField, OwnFrames, noise_of, read_own_frames
from model_library.zoo.pretraining import (
    CHECKPOINT_FOLDER,
    CURVE_FILE,
    telling_both,
    write_curve_files,
)
from model_library.zoo.registry import Library
from model_library.zoo.self_trained_card import About, MethodName, card_of
from model_library.zoo.store import save_network

ArchitectureName = Literal["unet", "residual-denoiser"]

ARCHITECTURES: dict[ArchitectureName, NetworkConfig] = {
    "unet": UNetConfig(widths=(16, 32, 64, 128)),
    "residual-denoiser": ResidualDenoiserConfig(depth=12, width=24),
}
"""What training begins with where it does not begin with a network: those of the denoisers that ship."""

_FRESH_RATE, _TUNED_RATE = 1e-3, 2e-4
_LOOKS = 10


@dataclass(frozen=True, slots=True)
class SelfTraining:
    """What one run of the command is to do.

    Attributes
    ----------
    images
        Folder of frames.
    method
        What stands in for clean images.
    library
        Written to, into a folder named by the id; `start` is looked up there, else in what ships.
    network_id
        Of the result.
    start
        Id of a network to go on from; None for a fresh one of `architecture`.
    """

    images: Path
    method: MethodName
    library: Library
    network_id: str
    start: str | None = None
    architecture: ArchitectureName = "unet"
    steps: int = 1000
    batch: int = 16
    patch_px: int = 64
    seed: int = 0
    threads: int = 1
    checkpoint_every_s: float = 60.0
    afresh: bool = False


@dataclass(frozen=True, slots=True)
class SelfTrained:
    """What a run made.

    Attributes
    ----------
    card
        As written.
    frames
        What was learned from and held out.
    steps
        That were done.
    psnr_repeat
        Mean over held-out fields, in dB, of an independent repeat of the acquisition: of the frame as
        `acquired`, of the `start` where there is one, and as `trained`. Higher is better.
    """

    card: NetworkCard
    frames: OwnFrames
    steps: int
    psnr_repeat: dict[str, float]


def run_self_training(wanted: SelfTraining, console: Console) -> SelfTrained:
    """Train, or go on training, and write the network with its curve.

    Raises
    ------
    RecipeError
        The frames, or the network to start from, are not fit; nothing was trained.
    UnknownNetwork, CheckpointError
        See `pretrain`.
    """
    torch.set_num_threads(wanted.threads)
    repeated = wanted.method == "noise2noise"
    frames = read_own_frames(wanted.images, repeated=repeated)
    start = _start(wanted)
    config = ARCHITECTURES[wanted.architecture] if start is None else start.card.config
    refuse_unfit(
        [_material(each, frame) for each in frames.learned + frames.held_out for frame in each.frames],
        Demand(channels=in_channels(config), side_px=wanted.patch_px),
    )
    noise = noise_of(frames.learned)
    folder = wanted.library.folder / wanted.network_id
    result = _fitted(wanted, frames, _module(start, config, wanted.seed), folder, console)
    module, folded = fold(result.module)
    machine = f"torch {torch.__version__}, {torch.get_num_threads()} threads, {result.compute}"
    about = About(
        network_id=wanted.network_id,
        method=wanted.method,
        folder=wanted.images.name,
        recipe=f"library train --method {wanted.method}, {len(result.losses)} steps; {machine}",
        seed=wanted.seed,
    )
    card = save_network(folder, module, card_of(about, frames, None if start is None else start.card, folded))
    write_curve_files(folder, result, _fit_config(wanted), console)
    shutil.rmtree(folder / CHECKPOINT_FOLDER)
    contestants = {"acquired": None, "start": start, "trained": LoadedNetwork(card, module.eval())}
    judged = {
        name: judge(network, frames.held_out, noise, wanted.seed)
        for name, network in contestants.items()
        if name != "start" or start is not None
    }
    return SelfTrained(card, frames, len(result.losses), judged)


def judge(network: LoadedNetwork | None, fields: Sequence[OwnField], noise: NoiseModel, seed: int) -> float:
    """Score a denoiser without truth: mean PSNR in dB against an independent repeat of the acquisition.

    Frames are split into two of independent noise (`recorrupt`). Differences between networks are
    unbiased; the value itself is bounded by the noise of the repeat.

    Parameters
    ----------
    network
        None for the frame as it is.
    noise
        Of the instrument, in counts.
    seed
        The same one gives every network the same frames.
    """
    values = []
    for number, each in enumerate(fields):
        pair = recorrupt(each.frames[0].grey, noise, np.random.default_rng([seed, number]))
        seen = pair.input if network is None else NetworkMethod(network)(pair.input)
        low, high = np.percentile(pair.acquired, (1, 99))
        risk = max(repeat_risk(seen, pair), float(np.finfo(np.float32).tiny))
        values.append(10 * math.log10(max(float(high - low), 1e-9) ** 2 / risk))
    return float(np.mean(values))


def _start(wanted: SelfTraining) -> LoadedNetwork | None:
    if wanted.start is None:
        return None
    library = wanted.library if wanted.start in wanted.library.ids() else Library()
    network = library.load(wanted.start)
    if network.card.task != Denoise() or in_channels(network.card.config) != 1:
        raise RecipeError(
            f"expected a network that denoises grey frames to start from, found {wanted.start} for "
            f"{network.card.task}; see `synoptic library list`"
        )
    return network


def _module(start: LoadedNetwork | None, config: NetworkConfig, seed: int) -> nn.Module:
    if start is not None:
        return start.module.requires_grad_(True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build(config)


def _material(field: OwnField, frame: Frame) -> MaterialImage:
    return MaterialImage(field.name, frame.pixels, frame.pixel_size_nm)


def _fit_config(wanted: SelfTraining) -> FitConfig:
    return FitConfig(
        steps=wanted.steps,
        batch=wanted.batch,
        patch_px=wanted.patch_px,
        learning_rate=_FRESH_RATE if wanted.start is None else _TUNED_RATE,
        # Its minimum is unmoved by noise in the target.
        loss="mse",
        seed=wanted.seed,
        early_stopping=EarlyStopping(every=max(1, wanted.steps // _LOOKS), patience=_LOOKS, batches=4),
    )


def _fitted(
    wanted: SelfTraining, frames: OwnFrames, module: nn.Module, folder: Path, console: Console
) -> FitResult:
    if wanted.afresh:
        shutil.rmtree(folder / CHECKPOINT_FOLDER, ignore_errors=True)
    objective = PairObjective(_pairs(wanted.method, frames.learned), _pairs(wanted.method, frames.held_out))
    data = f"{wanted.method} {frames.sha256}"
    with live(console) as show:
        return fit(
            module,
            objective,
            _fit_config(wanted),
            progress=telling_both(LiveCurve(folder / CURVE_FILE).tell, show),
            checkpointing=Checkpointing(
                folder / CHECKPOINT_FOLDER, data_sha256=data, every_s=wanted.checkpoint_every_s
            ),
        )


def _pairs(method: MethodName, fields: Sequence[OwnField]) -> PairSource:
    frames: list[list[Grey]] = [[frame.grey for frame in each.frames] for each in fields]
    match method:
        case "noise2noise":
            return RepeatedPairs(frames)
        case "noise2void":
            return BlindSpotPairs([grey for each in frames for grey in each])
        case "noise2self":
            return BlindSpotPairs([grey for each in frames for grey in each], filling="anywhere")
