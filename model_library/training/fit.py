"""The training loop."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from pydantic import Field
from torch import nn

from model_library.errors import RecipeError
from model_library.training.losses import LossName, loss_of
from model_library.training.pairs import PairSource
from model_library.wire.base import Message

WARM_UP_SHARE = 0.05
MAX_GRADIENT_NORM = 1.0


class FitConfig(Message):
    """How a network is trained.

    `learning_rate` is Adam's at its peak: it rises over the first twentieth of the steps and falls
    along a cosine to zero. `ema` is the decay of the running mean of the weights that is the
    result (reached gradually, so that short trainings forget where they began).
    """

    steps: int = Field(ge=1)
    batch: int = Field(default=16, ge=1)
    patch_px: int = Field(default=64, ge=8)
    learning_rate: float = Field(default=1e-3, gt=0)
    ema: float = Field(default=0.995, ge=0, lt=1)
    seed: int = 0
    loss: LossName = "l1"


@dataclass(frozen=True, slots=True)
class FitProgress:
    """One step done: `step` counts from 1; `loss` is the batch's."""

    step: int
    steps: int
    loss: float


@dataclass(frozen=True, slots=True)
class FitResult:
    """The averaged weights in a module of their own, and the loss of every step that was done."""

    module: nn.Module
    losses: tuple[float, ...]


def fit(
    module: nn.Module,
    pairs: PairSource,
    config: FitConfig,
    *,
    progress: Callable[[FitProgress], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> FitResult:
    """Train a copy of a module.

    The result is a function of the module, the pairs, the configuration and the number of threads
    alone: the same ones give the same weights, bit for bit, on one machine.

    Parameters
    ----------
    module
        Where to start; left as it is.
    pairs
        What to learn from.
    config
        How.
    progress
        Told after every step.
    stop
        Asked before every step; once it says yes, the weights reached so far are the result.

    Raises
    ------
    RecipeError
        The loss became NaN or infinite.
    """
    rng = np.random.default_rng(config.seed)
    trained = copy.deepcopy(module).to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    averaged = copy.deepcopy(trained).requires_grad_(False)
    optimiser = torch.optim.Adam(trained.parameters(), lr=config.learning_rate, betas=(0.9, 0.99))
    losses: list[float] = []
    for step in range(config.steps):
        if stop is not None and stop():
            break
        for group in optimiser.param_groups:
            group["lr"] = learning_rate_at(step, config)
        losses.append(_step(trained, optimiser, pairs, config, rng))
        _average(averaged, trained, min(config.ema, (1 + step) / (10 + step)))
        if progress is not None:
            progress(FitProgress(step + 1, config.steps, losses[-1]))
    return FitResult(averaged.eval(), tuple(losses))


def learning_rate_at(step: int, config: FitConfig) -> float:
    """Learning rate of a step (from 0): linear warm-up, then a cosine to zero."""
    warm_up = max(1, round(WARM_UP_SHARE * config.steps))
    if step < warm_up:
        return config.learning_rate * (step + 1) / warm_up
    progress = (step - warm_up) / max(1, config.steps - warm_up)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))


def _step(
    module: nn.Module,
    optimiser: torch.optim.Optimizer,
    pairs: PairSource,
    config: FitConfig,
    rng: np.random.Generator,
) -> float:
    inputs, targets = pairs.batch(config.batch, config.patch_px, rng)
    loss = loss_of(config.loss, module(inputs), targets)
    value = float(loss.detach())
    if not math.isfinite(value):
        raise RecipeError(
            f"expected a finite training loss, found {value}; lower the learning rate "
            f"({config.learning_rate:g}) or look for non-finite pixels among the images"
        )
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(module.parameters(), MAX_GRADIENT_NORM)
    optimiser.step()
    return value


@torch.no_grad()
def _average(averaged: nn.Module, trained: nn.Module, decay: float) -> None:
    for mean, current in zip(averaged.parameters(), trained.parameters(), strict=True):
        mean.lerp_(current, 1 - decay)
