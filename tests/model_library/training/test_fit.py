from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from model_library.errors import RecipeError
from model_library.networks.build import build
from model_library.networks.config import ResidualDenoiserConfig, UNetConfig
from model_library.specimens import SpecimenKind, render
from model_library.training.fit import FitConfig, FitProgress, fit, learning_rate_at
from model_library.training.losses import loss_of
from model_library.training.pairs import DegradedPairs
from model_library.training.variations import Variations
from model_library.zoo.store import weights_bytes

CONFIG = UNetConfig(widths=(4, 8))
NOISE = Variations(read_sigma=(0.1, 0.15))


def module(seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    return build(CONFIG)


def specimens(seed: int) -> DegradedPairs:
    rng = np.random.default_rng(seed)
    pool = [render(SpecimenKind.PRECIPITATES, (64, 64), rng).intensity for _ in range(4)]
    return DegradedPairs(pool, NOISE)


def short(**changes: object) -> FitConfig:
    return FitConfig(**{"steps": 5, "batch": 4, "patch_px": 16, "seed": 7, **changes})


def test_the_same_seed_gives_the_same_weights_bit_for_bit():
    first, again, other = (
        weights_bytes(fit(module(), specimens(1), short(seed=seed)).module) for seed in (7, 7, 8)
    )
    assert first == again
    assert first != other


def test_a_denoiser_learns_to_denoise_specimens_that_it_never_saw():
    config = FitConfig(steps=150, batch=8, patch_px=32, learning_rate=4e-3, ema=0.95, seed=1)
    torch.manual_seed(0)
    start = build(ResidualDenoiserConfig(depth=4, width=8))
    trained = fit(start, specimens(1), config).module
    noisy, clean = specimens(99).batch(64, 32, np.random.default_rng(5))
    with torch.no_grad():
        before = float(loss_of("mse", noisy, clean))
        after = float(loss_of("mse", trained(noisy), clean))
    assert after < 0.6 * before


def test_the_module_that_training_starts_from_is_left_alone():
    start = module()
    before = weights_bytes(start)
    fit(start, specimens(1), short())
    assert weights_bytes(start) == before


def test_stop_is_honoured_before_the_next_step():
    told: list[FitProgress] = []
    result = fit(module(), specimens(1), short(steps=50), progress=told.append, stop=lambda: len(told) == 3)
    assert [now.step for now in told] == [1, 2, 3]
    assert tuple(now.loss for now in told) == result.losses
    assert told[-1].steps == 50


def test_stopping_at_once_gives_the_weights_it_started_with():
    result = fit(module(), specimens(1), short(), stop=lambda: True)
    assert result.losses == ()
    assert weights_bytes(result.module) == weights_bytes(module())


@dataclass(frozen=True)
class Diverging:
    def batch(self, size: int, patch_px: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        return torch.rand(size, 1, patch_px, patch_px), torch.full((size, 1, patch_px, patch_px), torch.inf)


def test_a_loss_that_is_no_number_ends_the_training():
    with pytest.raises(RecipeError, match="lower the learning rate"):
        fit(module(), Diverging(), short())


def test_the_learning_rate_rises_then_falls_to_zero():
    config = FitConfig(steps=100, learning_rate=1e-3)
    rates = [learning_rate_at(step, config) for step in range(100)]
    assert max(rates) == pytest.approx(1e-3)
    assert rates[:5] == sorted(rates[:5])
    assert rates[5:] == sorted(rates[5:], reverse=True)
    assert rates[-1] < 1e-5


def test_a_segmentation_loss_is_small_where_every_pixel_is_right():
    classes = torch.zeros(1, 1, 4, 4)
    classes[..., :2] = 1
    right = torch.cat([1 - classes, classes], dim=1) * 40 - 20
    assert float(loss_of("cross_entropy", right, classes)) < 1e-6
    assert float(loss_of("cross_entropy", -right, classes)) > 10
