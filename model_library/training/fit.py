"""The training loop."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from model_library.errors import RecipeError
from model_library.training.chance import seeded
from model_library.training.checkpoint import Checkpointing, Keeper, terms_of
from model_library.training.config import FitConfig
from model_library.training.distributed import Team
from model_library.training.objectives import Objective, PairObjective
from model_library.training.pairs import PairSource
from model_library.training.precision import Compute, decide
from model_library.training.progress import FitProgress, Judgement, is_over
from model_library.training.schedules import learning_rate_at
from model_library.training.state import TrainingState

__all__ = ["FitConfig", "FitProgress", "FitResult", "fit"]


@dataclass(frozen=True, slots=True)
class FitResult:
    """What training has made.

    Attributes
    ----------
    module
        A module of its own, on the CPU, with the averaged weights: the last ones, or those that
        were judged best.
    losses
        Of every step that was done.
    judgements
        On held-out images, where early stopping asks for them.
    compute
        Precision and device that were used.
    """

    module: nn.Module
    losses: tuple[float, ...]
    judgements: tuple[Judgement, ...]
    compute: str


def fit(
    module: nn.Module,
    pairs: PairSource | Objective,
    config: FitConfig,
    *,
    progress: Callable[[FitProgress], None] | None = None,
    stop: Callable[[], bool] | None = None,
    checkpointing: Checkpointing | None = None,
) -> FitResult:
    """Train a copy of a module.

    The result is a function of the module, the pairs, the configuration, the number of threads and
    of processes alone: the same ones give the same weights, bit for bit, on one machine, however
    often training was interrupted. (On a GPU, kernels that add in any order break this.)

    Parameters
    ----------
    module
        Where to start; left as it is.
    pairs
        What to learn from, with the loss of the configuration; or an objective with one of its own.
    config
        How.
    progress
        Told after every step that is done here and now.
    stop
        Asked before every step; once it says yes, the weights reached so far are the result.
    checkpointing
        Where the state is kept, and continued from if it lies there already.

    Raises
    ------
    RecipeError
        The loss became NaN or infinite; or early stopping has nothing held out to judge.
    CheckpointError
        The checkpoint is damaged or another training's.
    """
    objective = pairs if isinstance(pairs, Objective) else PairObjective(pairs)
    if config.early_stopping is not None and not objective.can_judge:
        raise RecipeError(
            "expected held-out images for early stopping, found none; hold some out, or leave it off"
        )
    team = Team.current()
    compute = decide(config, local_rank=team.local_rank)
    with seeded(team.seeds(config.seed), compute.device) as rng:
        state = TrainingState.begin(module, config, compute, rng)
        keeper = None
        if checkpointing is not None:
            terms = terms_of(module, config, checkpointing.data_sha256, str(compute), team)
            keeper = Keeper(checkpointing, terms, team)
            keeper.take_up(state)
        for now in _steps(state, _Lesson(state.trained, objective, config, compute), team, stop):
            if progress is not None and team.leads:
                progress(now)
            if keeper is not None:
                keeper.keep(state)
        if keeper is not None:
            keeper.close(state)
    return FitResult(state.result(), tuple(state.losses), tuple(state.judgements), str(compute))


class _Lesson(nn.Module):
    """A module with what it learns from: its forward pass is the loss of a new batch.

    So a team can wait for the gradients of any objective (`Team.joint`).
    """

    def __init__(self, module: nn.Module, objective: Objective, config: FitConfig, compute: Compute) -> None:
        super().__init__()
        self.module, self.objective, self.config, self.compute = module, objective, config, compute

    def forward(self, rng: np.random.Generator) -> Tensor:
        with self.compute.autocast():
            return self.objective.loss(self.module, self.config, rng)


def _steps(
    state: TrainingState, lesson: _Lesson, team: Team, stop: Callable[[], bool] | None
) -> Iterator[FitProgress]:
    config, joint = lesson.config, team.joint(lesson)
    while (step := len(state.losses)) < config.steps:
        enough = config.early_stopping is not None and is_over(state.judgements, config.early_stopping)
        if enough or team.any(stop is not None and stop()):
            return
        rate = learning_rate_at(step, config)
        for group in state.optimiser.param_groups:
            group["lr"] = rate
        loss = _step(state, joint, config)
        state.average(min(config.ema, (1 + step) / (10 + step)))
        yield FitProgress(step + 1, config.steps, loss, rate, _judge_where_due(state, lesson, team))


def _step(state: TrainingState, joint: nn.Module, config: FitConfig) -> float:
    loss: Tensor = joint(state.rng)
    value = float(loss.detach())
    if not math.isfinite(value):
        raise RecipeError(
            f"expected a finite training loss, found {value}; lower the learning rate "
            f"({config.learning_rate:g}) or look for non-finite pixels among the images"
        )
    state.optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    if config.clip_norm is not None:
        nn.utils.clip_grad_norm_(state.trained.parameters(), config.clip_norm)
    state.optimiser.step()
    state.losses.append(value)
    return value


def _judge_where_due(state: TrainingState, lesson: _Lesson, team: Team) -> float | None:
    config, done = lesson.config, len(state.losses)
    rule = config.early_stopping
    if rule is None or (done % rule.every and done != config.steps):
        return None
    value = math.nan
    if team.leads:
        # Modules that draw by themselves draw the same each time, and leave training's chance alone.
        with torch.no_grad(), seeded(np.random.SeedSequence(config.seed), lesson.compute.device):
            value = lesson.objective.judge(state.averaged, config)
    value = team.follow(value)
    if not math.isfinite(value):
        raise RecipeError(
            f"expected a finite loss on the held-out images, found {value}; look for non-finite pixels "
            "among them"
        )
    state.judge(value)
    return value
