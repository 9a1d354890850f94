"""Networks with losses of their own train in the same loop."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from model_library.errors import RecipeError
from model_library.training.config import EarlyStopping, FitConfig
from model_library.training.fit import fit
from model_library.training.objectives import InstanceObjective, Objective, PairObjective
from model_library.zoo.store import weights_bytes


class Counter(torch.nn.Module):
    """Predicts how many objects an image has, from its mean; draws as Mask R-CNN samples proposals."""

    def __init__(self) -> None:
        super().__init__()
        self.per_light = torch.nn.Parameter(torch.zeros(1))

    def losses(self, images: list[Tensor], targets: list[dict[str, Tensor]]) -> Tensor:
        errors = [
            (self.per_light * image.mean() * 256 / 9 - len(target["labels"])) ** 2
            for image, target in zip(images, targets, strict=True)
        ]
        chosen = torch.randperm(len(errors))[: len(errors) // 2]
        return torch.stack(errors)[chosen].mean()


@dataclass(frozen=True)
class Squares:
    """Images of 16 x 16 pixels with one to three bright squares of 3 x 3."""

    def batch(
        self, size: int, patch_px: int, rng: np.random.Generator
    ) -> tuple[list[Tensor], list[dict[str, Tensor]]]:
        return tuple(map(list, zip(*(self._one(patch_px, rng) for _ in range(size)), strict=True)))

    def _one(self, side: int, rng: np.random.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        masks = torch.zeros(int(rng.integers(1, 4)), side, side, dtype=torch.uint8)
        for number, mask in enumerate(masks):
            mask[5 * number : 5 * number + 3, 4:7] = 1
        boxes = torch.tensor([[4.0, 5.0 * number, 7.0, 5.0 * number + 3] for number in range(len(masks))])
        labels = torch.ones(len(masks), dtype=torch.int64)
        return masks.sum(0).float()[None], {"boxes": boxes, "labels": labels, "masks": masks}


def config(**changes: object) -> FitConfig:
    return FitConfig(
        **{"steps": 60, "batch": 8, "patch_px": 16, "learning_rate": 0.1, "ema": 0.5, "seed": 1, **changes}
    )


def test_a_network_with_losses_of_its_own_learns_from_instances():
    result = fit(Counter(), InstanceObjective(Squares()), config())
    assert result.module.per_light.item() == pytest.approx(1, abs=0.05)
    assert result.losses[-1] < 0.05 * result.losses[0]


def test_its_training_is_reproducible_too():
    first, again = (
        weights_bytes(fit(Counter(), InstanceObjective(Squares()), config()).module) for _ in "ab"
    )
    assert first == again


def test_it_is_judged_on_held_out_instances():
    objective = InstanceObjective(Squares(), held_out=Squares())
    rule = EarlyStopping(every=20, patience=1, batches=2)
    result = fit(Counter(), objective, config(early_stopping=rule))
    assert [one.step for one in result.judgements][:2] == [20, 40]
    assert result.judgements[1].loss < result.judgements[0].loss
    assert result.losses[:20] == fit(Counter(), InstanceObjective(Squares()), config()).losses[:20]


def test_a_network_without_losses_of_its_own_is_refused():
    with pytest.raises(RecipeError, match="losses of its own"):
        fit(torch.nn.Conv2d(1, 1, 1), InstanceObjective(Squares()), config())


def test_both_kinds_are_objectives_and_sources_are_not():
    assert isinstance(InstanceObjective(Squares()), Objective)
    assert isinstance(PairObjective(Squares()), Objective)
    assert not isinstance(Squares(), Objective)
