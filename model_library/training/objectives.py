"""What a training step descends: pairs and a loss, or a network's own losses on instances."""

import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from model_library.errors import RecipeError
from model_library.training.config import FitConfig
from model_library.training.losses import loss_of
from model_library.training.pairs import PairSource

_JUDGING_STREAM = 2
"""Held-out batches are drawn from a stream of their own, so that judging leaves training as it is."""


@runtime_checkable
class Objective(Protocol):
    """Draws a batch and says how wrong a module is about it."""

    @property
    def can_judge(self) -> bool:
        """Whether images are held out for `judge`."""
        ...

    def loss(self, module: nn.Module, config: FitConfig, rng: np.random.Generator) -> Tensor:
        """Mean loss of a new batch, a scalar with a gradient.

        Parameters
        ----------
        module
            In training; batches are moved to where its weights lie.
        config
            `batch` and `patch_px` say how much to draw.
        rng
            The only source of chance besides torch's generator, which `fit` seeds.
        """
        ...

    def judge(self, module: nn.Module, config: FitConfig) -> float:
        """Mean loss on the held-out batches, the same ones each time; NaN where nothing is held out."""
        ...


@dataclass(frozen=True, slots=True)
class PairObjective:
    """A loss between predictions and targets.

    Attributes
    ----------
    source
        What to learn from.
    held_out
        Pairs of images that `source` does not hold; None if nothing is to be judged.
    """

    source: PairSource
    held_out: PairSource | None = None

    @property
    def can_judge(self) -> bool:
        """See `Objective`."""
        return self.held_out is not None

    def loss(self, module: nn.Module, config: FitConfig, rng: np.random.Generator) -> Tensor:
        """See `Objective`."""
        return _pair_loss(module, config, self.source.batch(config.batch, config.patch_px, rng))

    def judge(self, module: nn.Module, config: FitConfig) -> float:
        """See `Objective`."""
        if self.held_out is None:
            return math.nan
        module.eval()
        source, rng = self.held_out, _judging_rng(config)
        drawn = (source.batch(config.batch, config.patch_px, rng) for _ in range(_judged_batches(config)))
        return float(np.mean([float(_pair_loss(module, config, batch)) for batch in drawn]))


def _pair_loss(module: nn.Module, config: FitConfig, batch: tuple[Tensor, Tensor]) -> Tensor:
    device = device_of(module)
    inputs, targets = (tensor.to(device, non_blocking=True) for tensor in batch)
    prediction = module(inputs)
    # Statistics over windows lose all their digits in bfloat16.
    with torch.autocast(device.type, enabled=False):
        return loss_of(config.loss, prediction.float(), targets)


class InstanceSource(Protocol):
    """Draws images with the objects in them."""

    def batch(
        self, size: int, patch_px: int, rng: np.random.Generator
    ) -> tuple[list[Tensor], list[dict[str, Tensor]]]:
        """Draw a batch.

        Returns
        -------
        tuple
            Images, each [C, Y, X], float32 on the unit scale, and for each its objects: `boxes`
            [K, 4] float32 (x1, y1, x2, y2 in pixels), `labels` [K] int64 from 1, `masks` [K, Y, X]
            uint8.
        """
        ...


@runtime_checkable
class InstanceNetwork(Protocol):
    """A network that brings losses of its own, such as Mask R-CNN."""

    def losses(self, images: list[Tensor], targets: list[dict[str, Tensor]]) -> Tensor:
        """Sum of its losses over a batch, a scalar with a gradient; in inference mode as well."""
        ...


@dataclass(frozen=True, slots=True)
class InstanceObjective:
    """The losses of a network that finds instances; `FitConfig.loss` does not matter here.

    Attributes
    ----------
    source
        What to learn from.
    held_out
        Images that `source` does not hold; None if nothing is to be judged.
    """

    source: InstanceSource
    held_out: InstanceSource | None = None

    @property
    def can_judge(self) -> bool:
        """See `Objective`."""
        return self.held_out is not None

    def loss(self, module: nn.Module, config: FitConfig, rng: np.random.Generator) -> Tensor:
        """See `Objective`."""
        return _instance_loss(module, *self.source.batch(config.batch, config.patch_px, rng))

    def judge(self, module: nn.Module, config: FitConfig) -> float:
        """See `Objective`."""
        if self.held_out is None:
            return math.nan
        module.eval()
        source, rng = self.held_out, _judging_rng(config)
        drawn = (source.batch(config.batch, config.patch_px, rng) for _ in range(_judged_batches(config)))
        return float(np.mean([float(_instance_loss(module, *batch)) for batch in drawn]))


def _instance_loss(module: nn.Module, images: list[Tensor], targets: list[dict[str, Tensor]]) -> Tensor:
    if not isinstance(module, InstanceNetwork):
        raise RecipeError(
            f"expected a network with losses of its own (Mask R-CNN), found {type(module).__name__}; "
            "train it on pairs of images and classes"
        )
    device = device_of(module)
    placed = [{key: value.to(device) for key, value in target.items()} for target in targets]
    return module.losses([image.to(device) for image in images], placed)


def device_of(module: nn.Module) -> torch.device:
    """Where the weights of a module lie."""
    return next(module.parameters()).device


def _judging_rng(config: FitConfig) -> np.random.Generator:
    return np.random.default_rng([config.seed, _JUDGING_STREAM])


def _judged_batches(config: FitConfig) -> int:
    return 1 if config.early_stopping is None else config.early_stopping.batches
