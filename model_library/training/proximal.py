"""Holding a module near where it began, whatever else it learns (FedProx, Li et al. 2020)."""

import numpy as np
from torch import Tensor, nn

from model_library.training.config import FitConfig
from model_library.training.objectives import Objective


class ProximalObjective:
    """An objective plus `mu / 2` times the squared Euclidean distance of the weights to those of `start`.

    The sum is over parameters that are trained; judging leaves it out.
    """

    def __init__(self, objective: Objective, start: nn.Module, mu: float) -> None:
        self._objective, self._mu = objective, mu
        self._start = {
            name: parameter.detach().clone()
            for name, parameter in start.named_parameters()
            if parameter.requires_grad
        }

    @property
    def can_judge(self) -> bool:
        """See `Objective`."""
        return self._objective.can_judge

    def loss(self, module: nn.Module, config: FitConfig, rng: np.random.Generator) -> Tensor:
        """See `Objective`."""
        loss = self._objective.loss(module, config, rng)
        for name, parameter in module.named_parameters():
            if name in self._start:
                away = parameter - self._start[name].to(parameter.device)
                loss = loss + 0.5 * self._mu * away.square().sum()
        return loss

    def judge(self, module: nn.Module, config: FitConfig) -> float:
        """See `Objective`."""
        return self._objective.judge(module, config)
