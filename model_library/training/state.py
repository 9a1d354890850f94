"""Everything that a training has reached, as named tensors and back."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import torch
from torch import Tensor, nn

from model_library.networks.normalisation import freeze_statistics
from model_library.training.config import FitConfig
from model_library.training.precision import Compute
from model_library.training.progress import Judgement, best_of

_BETAS = (0.9, 0.99)


@dataclass
class TrainingState:
    """What changes from step to step.

    Attributes
    ----------
    trained
        The module that learns, channels last, on the device.
    averaged
        The running mean of its weights and statistics.
    optimiser
        Adam over the weights of `trained`.
    rng
        Source of all chance but torch's own generator.
    losses
        Of every step that was done.
    judgements
        On held-out images, oldest first.
    best
        State of `averaged` when it was judged best; empty before the first judgement.
    """

    trained: nn.Module
    averaged: nn.Module
    optimiser: torch.optim.Optimizer
    rng: np.random.Generator
    losses: list[float] = field(default_factory=list)
    judgements: list[Judgement] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)

    @classmethod
    def begin(cls, module: nn.Module, config: FitConfig, compute: Compute, rng: np.random.Generator) -> Self:
        """Copy a module to the device, ready for the first step."""
        trained = copy.deepcopy(module).to(compute.device)
        trained = trained.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        averaged = copy.deepcopy(trained).requires_grad_(False)
        if config.freeze_statistics:
            freeze_statistics(trained)
        optimiser = torch.optim.Adam(trained.parameters(), lr=config.learning_rate, betas=_BETAS)
        return cls(trained, averaged, optimiser, rng)

    @torch.no_grad()
    def average(self, decay: float) -> None:
        """Move the mean towards the present weights and statistics; counters are copied."""
        pairs = [
            *zip(self.averaged.parameters(), self.trained.parameters(), strict=True),
            *zip(self.averaged.buffers(), self.trained.buffers(), strict=True),
        ]
        for mean, current in pairs:
            if mean.is_floating_point():
                mean.lerp_(current, 1 - decay)
            else:
                mean.copy_(current)

    def judge(self, loss: float) -> None:
        """Note a judgement of the averaged weights, and keep them if none was better before."""
        self.judgements.append(Judgement(len(self.losses), loss))
        if best_of(self.judgements) == self.judgements[-1]:
            self.best = {key: value.clone() for key, value in self.averaged.state_dict().items()}

    def result(self) -> nn.Module:
        """Weights to serve, on the CPU: those judged best, or the mean where nothing was judged."""
        if self.best:
            self.averaged.load_state_dict(self.best)
        return self.averaged.to("cpu").eval()

    def tensors(self) -> dict[str, Tensor]:
        """Name everything but the chance: contiguous copies on the CPU."""
        named = {f"trained/{key}": value for key, value in self.trained.state_dict().items()}
        named |= {f"averaged/{key}": value for key, value in self.averaged.state_dict().items()}
        named |= {f"best/{key}": value for key, value in self.best.items()}
        for name, parameter in self.trained.named_parameters():
            for key, value in self.optimiser.state.get(parameter, {}).items():
                named[f"optimiser/{key}/{name}"] = value
        copies = {
            key: value.detach().cpu().clone(memory_format=torch.contiguous_format)
            for key, value in named.items()
        }
        # As text, millions of losses would outweigh the weights.
        copies["losses"] = torch.tensor(self.losses, dtype=torch.float64)
        copies["judged/steps"] = torch.tensor([one.step for one in self.judgements], dtype=torch.int64)
        copies["judged/losses"] = torch.tensor([one.loss for one in self.judgements], dtype=torch.float64)
        return copies

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take back what `tensors` named.

        Raises
        ------
        KeyError, RuntimeError
            The tensors are those of another module.
        """
        self.trained.load_state_dict(_under("trained/", tensors))
        self.averaged.load_state_dict(_under("averaged/", tensors))
        self.best = {
            key: torch.empty_like(self.averaged.state_dict()[key]).copy_(value)
            for key, value in _under("best/", tensors).items()
        }
        for key in ("step", "exp_avg", "exp_avg_sq"):
            moments = _under(f"optimiser/{key}/", tensors)
            for name, parameter in self.trained.named_parameters():
                if name in moments:
                    self.optimiser.state[parameter][key] = _laid_out_as(parameter, moments[name])
        steps, losses = tensors["judged/steps"].tolist(), tensors["judged/losses"].tolist()
        self.judgements = [Judgement(*pair) for pair in zip(steps, losses, strict=True)]
        self.losses = tensors["losses"].tolist()


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def _laid_out_as(parameter: Tensor, value: Tensor) -> Tensor:
    """Copy with the strides of a parameter: kernels over other strides may round otherwise."""
    if value.dim() == 0:
        return value.clone()
    return torch.empty_like(parameter, requires_grad=False).copy_(value)
