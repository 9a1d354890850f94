import copy
import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from model_library.errors import RecipeError
from model_library.networks.build import build
from model_library.networks.config import ResidualDenoiserConfig, UNetConfig
from model_library.networks.normalisation import NormedConv
from model_library.specimens import SpecimenKind, render
from model_library.training.fit import FitConfig, FitProgress, fit
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


def written_out(start: torch.nn.Module, pairs: DegradedPairs, config: FitConfig) -> torch.nn.Module:
    """Adam, warm-up and cosine, clipping and averaging of the defaults, as plainly as can be."""
    rng = np.random.default_rng(config.seed)
    trained = copy.deepcopy(start).to(memory_format=torch.channels_last).train()
    averaged = copy.deepcopy(trained).requires_grad_(False)
    optimiser = torch.optim.Adam(trained.parameters(), lr=config.learning_rate, betas=(0.9, 0.99))
    for step in range(config.steps):
        share = (step - 1) / (config.steps - 1)
        rate = 1 if step < 1 else 0.5 * (1 + math.cos(math.pi * share))
        optimiser.param_groups[0]["lr"] = config.learning_rate * rate
        inputs, targets = pairs.batch(config.batch, config.patch_px, rng)
        optimiser.zero_grad()
        torch.nn.functional.l1_loss(trained(inputs), targets).backward()
        torch.nn.utils.clip_grad_norm_(trained.parameters(), 1.0)
        optimiser.step()
        for mean, current in zip(averaged.parameters(), trained.parameters(), strict=True):
            mean.lerp_(current.detach(), 1 - min(config.ema, (1 + step) / (10 + step)))
    return averaged


def test_the_defaults_are_the_plain_loop_bit_for_bit():
    made = fit(module(), specimens(1), short(steps=8)).module
    assert weights_bytes(made) == weights_bytes(written_out(module(), specimens(1), short(steps=8)))


def test_without_a_bound_gradients_are_as_they_are():
    free, bounded, tight = (
        weights_bytes(fit(module(), specimens(1), short(clip_norm=norm)).module) for norm in (None, 1e9, 1e-3)
    )
    assert free == bounded
    assert free != tight


class Dropping(torch.nn.Module):
    """Draws from torch's own generator, as dropout and Mask R-CNN do."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = torch.nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        return torch.nn.functional.dropout(self.convolution(image), training=self.training)


def test_chance_inside_a_module_is_seeded_and_that_outside_left_alone():
    torch.manual_seed(3)
    start, before = Dropping(), torch.get_rng_state()
    first = weights_bytes(fit(start, specimens(1), short()).module)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(4)
    assert weights_bytes(fit(start, specimens(1), short()).module) == first


def normalised() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(NormedConv(1, 1, 3, normalisation="batch"))


def test_statistics_of_batch_normalisation_are_averaged_with_the_weights():
    made = fit(normalised(), specimens(1), short(steps=10)).module.state_dict()
    assert made["0.norm.running_mean"].abs() > 1e-3


def test_frozen_statistics_stay_as_they_were():
    start = normalised()
    made = fit(start, specimens(1), short(freeze_statistics=True)).module.state_dict()
    for key in ("0.norm.running_mean", "0.norm.running_var"):
        assert torch.equal(made[key], start.state_dict()[key])
    assert not torch.equal(made["0.norm.weight"], start.state_dict()["0.norm.weight"])
