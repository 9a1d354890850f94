"""Learning rates over the steps."""

import pytest
import torch

from model_library.training.config import FitConfig
from model_library.training.schedules import learning_rate_at


def rates(**changes: object) -> list[float]:
    config = FitConfig(**{"steps": 100, "learning_rate": 1e-3, **changes})
    return [learning_rate_at(step, config) for step in range(config.steps)]


def test_a_cosine_rises_then_falls_to_zero():
    found = rates()
    assert max(found) == pytest.approx(1e-3)
    assert found[:5] == sorted(found[:5])
    assert found[5:] == sorted(found[5:], reverse=True)
    assert found[-1] < 1e-5


@pytest.mark.parametrize(("warm_up", "steps"), [(0.0, 1), (0.2, 20), (0.5, 50)])
def test_the_warm_up_is_as_long_as_asked(warm_up: float, steps: int):
    found = rates(warm_up=warm_up)
    assert found.index(max(found)) == steps - 1


def test_a_constant_rate_stays_after_its_warm_up():
    found = rates(schedule="constant")
    assert found[:5] == sorted(found[:5])
    assert set(found[4:]) == {1e-3}


@pytest.mark.parametrize("steps", [10, 100, 333])
def test_one_cycle_is_that_of_torch(steps: int):
    optimiser = torch.optim.Adam([torch.zeros(1, requires_grad=True)], lr=1.0)
    reference = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=2e-3, total_steps=steps, cycle_momentum=False
    )
    for found in rates(schedule="one_cycle", steps=steps, learning_rate=2e-3):
        assert found == pytest.approx(reference.get_last_lr()[0], rel=1e-6)
        optimiser.step()
        if reference.last_epoch < steps - 1:
            reference.step()


@pytest.mark.parametrize("schedule", ["cosine", "one_cycle", "constant"])
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_the_shortest_trainings_have_rates_too(schedule: str, steps: int):
    assert all(0 <= rate <= 1e-3 for rate in rates(schedule=schedule, steps=steps))
