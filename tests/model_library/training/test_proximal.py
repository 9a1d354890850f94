"""A module that is held near where it began moves less, the less the more it is held."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from model_library.training.config import FitConfig
from model_library.training.fit import fit
from model_library.training.objectives import Objective, PairObjective
from model_library.training.proximal import ProximalObjective

CONFIG = FitConfig(steps=40, batch=4, patch_px=8, learning_rate=0.05, ema=0.5, seed=3, loss="mse")


@dataclass(frozen=True)
class Doubling:
    """Noise, and twice the noise."""

    def batch(self, size: int, patch_px: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        noise = torch.from_numpy(rng.standard_normal((size, 1, patch_px, patch_px)).astype(np.float32))
        return noise, 2 * noise


def module() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Conv2d(1, 1, 1)


def moved(mu: float) -> float:
    start = module()
    objective = ProximalObjective(PairObjective(Doubling()), start, mu)
    reached = fit(start, objective, CONFIG).module.state_dict()
    return float(sum((reached[key] - value).square().sum() for key, value in start.state_dict().items()))


def test_the_stronger_it_is_held_the_less_it_moves():
    distances = [moved(mu) for mu in (0.0, 0.5, 5.0, 500.0)]
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 0.01 * distances[0]


@pytest.mark.parametrize("mu", [0.1, 2.0])
def test_its_gradient_is_mu_times_the_way_from_the_start(mu: float):
    start, away = module(), module()
    with torch.no_grad():
        away.weight += 0.5
    plain = PairObjective(Doubling())
    gradients = []
    for objective in (plain, ProximalObjective(plain, start, mu)):
        away.zero_grad()
        objective.loss(away, CONFIG, np.random.default_rng(1)).backward()
        gradients.append((away.weight.grad.item(), away.bias.grad.item()))
    assert gradients[1][0] - gradients[0][0] == pytest.approx(0.5 * mu, rel=1e-5)
    assert gradients[1][1] == pytest.approx(gradients[0][1])


def test_frozen_weights_are_not_held():
    start = module()
    start.bias.requires_grad_(False)
    away = module()
    with torch.no_grad():
        away.bias += 100.0
    objective = ProximalObjective(PairObjective(Doubling()), start, 1.0)
    held = objective.loss(away, CONFIG, np.random.default_rng(1))
    free = PairObjective(Doubling()).loss(away, CONFIG, np.random.default_rng(1))
    assert held.item() == pytest.approx(free.item())


def test_it_judges_as_what_it_holds():
    plain = PairObjective(Doubling(), held_out=Doubling())
    held = ProximalObjective(plain, module(), 1.0)
    assert isinstance(held, Objective)
    assert held.can_judge
    with torch.no_grad():
        assert held.judge(module(), CONFIG) == plain.judge(module(), CONFIG)
