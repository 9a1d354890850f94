"""Ending on held-out images, with the weights that were best there."""

from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from model_library.errors import RecipeError
from model_library.training.config import EarlyStopping, FitConfig
from model_library.training.fit import FitProgress, fit
from model_library.training.objectives import PairObjective
from model_library.training.progress import Judgement, best_of, is_over
from model_library.zoo.store import weights_bytes


def judgements(losses: list[float]) -> list[Judgement]:
    return [Judgement(10 * number, loss) for number, loss in enumerate(losses, start=1)]


@given(losses=st.lists(st.floats(0, 1), max_size=12), patience=st.integers(1, 4))
def test_it_is_over_once_patience_judgements_brought_nothing_better(losses: list[float], patience: int):
    since = len(losses) - 1 - losses.index(min(losses)) if losses else -1
    rule = EarlyStopping(every=10, patience=patience)
    assert is_over(judgements(losses), rule) == (since >= patience)


def test_the_best_judgement_is_the_first_of_the_lowest():
    assert best_of(judgements([3.0, 1.0, 2.0, 1.0])) == Judgement(20, 1.0)
    assert best_of([]) is None


@dataclass(frozen=True)
class Level:
    """Inputs of ones, whose targets are a level; notes how often it was asked."""

    level: float
    asked: list[int] = field(default_factory=list)

    def batch(self, size: int, patch_px: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        self.asked.append(size)
        inputs = torch.ones(size, 1, patch_px, patch_px)
        return inputs + float(rng.uniform(-0.01, 0.01)), inputs * self.level


def gain(value: float) -> torch.nn.Module:
    module = torch.nn.Conv2d(1, 1, 1, bias=False)
    torch.nn.init.constant_(module.weight, value)
    return module


def config(**rule: int) -> FitConfig:
    stopping = EarlyStopping(**{"every": 5, "patience": 2, "batches": 1, **rule}) if rule else None
    return FitConfig(
        steps=200, batch=2, patch_px=8, learning_rate=0.02, schedule="constant", ema=0.5, loss="mse",
        early_stopping=stopping,
    )  # fmt: skip


def test_training_ends_when_held_out_images_say_so_with_the_best_weights():
    # On its way from 0 to the training level 1, the weight passes the held-out level 0.5.
    objective = PairObjective(Level(1.0), held_out=Level(0.5))
    told: list[FitProgress] = []
    result = fit(gain(0.0), objective, config(every=5, patience=2), progress=told.append)
    assert len(result.losses) < 200
    best = min(result.judgements, key=lambda one: one.loss)
    assert len(result.losses) == best.step + 2 * 5
    assert float(next(result.module.parameters()).item()) == pytest.approx(0.5, abs=0.05)
    assert [now.step for now in told if now.validation is not None] == [one.step for one in result.judgements]


def test_judging_does_not_change_what_is_learnt_on_the_way():
    plain = fit(gain(0.0), Level(1.0), config())
    judged = fit(gain(0.0), PairObjective(Level(1.0), held_out=Level(1.0)), config(every=5, patience=200))
    assert judged.losses == plain.losses


def test_without_improvement_the_weights_of_the_first_judgement_are_kept():
    away = PairObjective(Level(1.0), held_out=Level(-1.0))
    result = fit(gain(0.0), away, config(every=1, patience=3))
    assert len(result.losses) == 4
    first = fit(gain(0.0), Level(1.0), config(), stop=iter([False, True]).__next__)
    assert weights_bytes(result.module) == weights_bytes(first.module)


def test_only_held_out_images_judge_and_they_are_never_trained_on():
    learnt, held_out = Level(1.0), Level(0.5)
    result = fit(gain(0.0), PairObjective(learnt, held_out), config(every=5, patience=2, batches=3))
    assert len(learnt.asked) == len(result.losses)
    assert len(held_out.asked) == 3 * len(result.judgements)


def test_every_judgement_sees_the_same_batches():
    still = FitConfig(**{**config(every=2, patience=9).model_dump(), "learning_rate": 1e-12, "steps": 8})
    losses = {one.loss for one in fit(gain(0.7), PairObjective(Level(1.0), Level(0.5)), still).judgements}
    assert len(losses) == 1


def test_early_stopping_without_held_out_images_is_refused_before_the_first_step():
    source = Level(1.0)
    with pytest.raises(RecipeError, match="expected held-out images"):
        fit(gain(0.0), source, config(every=5))
    assert source.asked == []


def test_a_held_out_loss_that_is_no_number_ends_the_training():
    with pytest.raises(RecipeError, match="held-out images, found inf"):
        fit(gain(0.0), PairObjective(Level(1.0), Level(float("inf"))), config(every=1))
