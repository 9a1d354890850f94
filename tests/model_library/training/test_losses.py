"""Losses: their values, and what does not count in them."""

import math
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from model_library.errors import RecipeError
from model_library.training.losses import (
    SEGMENTING_LOSSES,
    UNKNOWN_CLASS,
    LossName,
    RestoringLoss,
    SegmentingLoss,
    loss_of,
)
from model_library.training.similarity import ms_ssim

RESTORING: tuple[RestoringLoss, ...] = get_args(RestoringLoss)
BY_PIXEL: tuple[LossName, ...] = ("l1", "mse", "charbonnier")


def images(seed: int, side: int = 32) -> Tensor:
    return torch.rand(2, 1, side, side, generator=torch.Generator().manual_seed(seed))


def classes(seed: int = 0, of: int = 3) -> Tensor:
    return torch.randint(0, of, (2, 1, 8, 8), generator=torch.Generator().manual_seed(seed)).float()


def scores(seed: int = 0, of: int = 3) -> Tensor:
    return torch.randn(2, of, 8, 8, generator=torch.Generator().manual_seed(seed + 100))


def weighted(labels: Tensor, weights: Tensor) -> Tensor:
    return torch.cat([labels, weights], dim=1)


def test_every_segmenting_loss_is_listed():
    assert set(get_args(SegmentingLoss)) == set(SEGMENTING_LOSSES)


@pytest.mark.parametrize("name", RESTORING)
def test_a_right_prediction_costs_nothing_and_a_wrong_one_something(name: RestoringLoss):
    truth = images(0)
    assert float(loss_of(name, truth, truth)) == pytest.approx(0, abs=2e-3)
    assert float(loss_of(name, images(1), truth)) > 0.05


@pytest.mark.parametrize(
    ("name", "expected"),
    [("l1", 0.3), ("mse", 0.09), ("charbonnier", math.hypot(0.3, 1e-3))],
)
def test_values_of_a_constant_error(name: RestoringLoss, expected: float):
    assert float(loss_of(name, images(0) + 0.3, images(0))) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("name", "share"), [("ms_ssim_l1", 0.8), ("ms_ssim_l1_zhao", 0.84)])
def test_mixes_weigh_similarity_against_the_absolute_error(name: RestoringLoss, share: float):
    one, other = images(0), images(1)
    expected = share * (1 - float(ms_ssim(one, other))) + (1 - share) * float((one - other).abs().mean())
    assert float(loss_of(name, one, other)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", BY_PIXEL)
@given(seed=st.integers(0, 2**16))
def test_unknown_pixels_count_in_no_loss(name: LossName, seed: int):
    prediction, truth = images(seed, 8), images(seed + 1, 8)
    known = images(seed + 2, 8) < 0.5
    target = truth.where(known, torch.nan)
    expected = loss_of(name, prediction[known], truth[known])
    assert torch.isclose(loss_of(name, prediction, target), expected)
    whatever = loss_of(name, prediction.where(known, 1e6), target)
    assert torch.isclose(whatever, expected)


@pytest.mark.parametrize("name", ["ms_ssim_l1", "ms_ssim_l1_zhao"])
def test_windows_over_unknown_pixels_are_refused(name: RestoringLoss):
    target = images(0)
    target[0, 0, 3, 4] = torch.nan
    with pytest.raises(RecipeError, match="1 unknown pixels; choose l1"):
        loss_of(name, images(1), target)


@pytest.mark.parametrize("name", SEGMENTING_LOSSES)
def test_pixels_of_unknown_class_have_no_gradient(name: SegmentingLoss):
    labels = classes()
    labels[:, :, :4] = UNKNOWN_CLASS
    prediction = scores().requires_grad_()
    target = weighted(labels, torch.ones_like(labels)) if name == "border_cross_entropy" else labels
    loss_of(name, prediction, target).backward()
    assert prediction.grad is not None
    assert not prediction.grad[:, :, :4].any()
    assert prediction.grad[:, :, 4:].all()


@pytest.mark.parametrize("name", ["l1", *SEGMENTING_LOSSES])
def test_where_nothing_is_known_there_is_nothing_to_learn(name: LossName):
    labels = torch.full((2, 1, 8, 8), float(UNKNOWN_CLASS))
    target = {
        "l1": torch.full((2, 3, 8, 8), torch.nan),
        "cross_entropy": labels,
        "border_cross_entropy": weighted(labels, torch.ones_like(labels)),
    }[name]
    prediction = scores().requires_grad_()
    loss = loss_of(name, prediction, target)
    loss.backward()
    assert float(loss.detach()) == 0
    assert prediction.grad is not None
    assert not prediction.grad.any()


def test_known_labels_count_as_if_the_unknown_were_cut_away():
    labels = classes()
    labels[:, :, :4] = UNKNOWN_CLASS
    whole = loss_of("cross_entropy", scores(), labels)
    assert torch.isclose(whole, loss_of("cross_entropy", scores()[:, :, 4:], labels[:, :, 4:]))


def test_a_segmentation_loss_is_small_where_every_pixel_is_right():
    labels = torch.zeros(1, 1, 4, 4)
    labels[..., :2] = 1
    right = torch.cat([1 - labels, labels], dim=1) * 40 - 20
    for name, target in (("cross_entropy", labels), ("border_cross_entropy", weighted(labels, labels + 1))):
        assert float(loss_of(name, right, target)) < 1e-6
        assert float(loss_of(name, -right, target)) > 10


def test_weights_say_how_much_each_pixel_counts():
    labels = classes()
    heavy = torch.zeros_like(labels)
    heavy[:, :, 2, 3] = 7
    alone = loss_of("border_cross_entropy", scores(), weighted(labels, heavy))
    log_shares = scores().log_softmax(dim=1).numpy()
    picked = [log_shares[n, int(labels[n, 0, 2, 3]), 2, 3] for n in range(2)]
    assert float(alone) == pytest.approx(-np.mean(picked), rel=1e-5)


def test_a_border_loss_without_weights_is_refused():
    with pytest.raises(RecipeError, match="two planes"):
        loss_of("border_cross_entropy", scores(), classes())
