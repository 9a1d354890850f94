"""How far a prediction is from its target, as a number to descend."""

from typing import Final, Literal, assert_never

import torch
from torch import Tensor, nn

from model_library.errors import RecipeError
from model_library.training.similarity import ms_ssim
from model_library.wire.tasks import UNKNOWN_CLASS

RestoringLoss = Literal["l1", "mse", "charbonnier", "ms_ssim_l1", "ms_ssim_l1_zhao"]
SegmentingLoss = Literal["cross_entropy", "border_cross_entropy"]
LossName = RestoringLoss | SegmentingLoss

SEGMENTING_LOSSES: Final[tuple[SegmentingLoss, ...]] = ("cross_entropy", "border_cross_entropy")
"""Losses whose targets are classes."""

CHARBONNIER_EPSILON = 1e-3
PSSR2_SHARE, ZHAO_SHARE = 0.8, 0.84
"""Share of MS-SSIM in the mixes."""


def loss_of(name: LossName, prediction: Tensor, target: Tensor) -> Tensor:
    """Mean loss of a batch over its known pixels; 0, without a slope, where none is known.

    Parameters
    ----------
    name
        For restoration: `l1`, `mse`, `charbonnier` (an L1 rounded off below 0.001; Charbonnier et
        al. 1994, as in LapSRN), or a mix `a * (1 - MS-SSIM) + (1 - a) * L1` with a = 0.8
        (`ms_ssim_l1`, of PSSR2) or 0.84 (`ms_ssim_l1_zhao`, Zhao et al. 2017, whose Gaussian over
        the L1 only weakens the border of a patch once every pixel of it is a centre; it is left
        out). `mse` is the one whose minimum is unmoved by noise in the target, so it is the one
        for targets that are themselves acquired.
        For segmentation: `cross_entropy` (plus the soft Dice loss, Milletari et al. 2016, against
        rare classes), or `border_cross_entropy`, weighted by pixel (see `borders`).
    prediction
        [N, C, s Y, s X]; grey values on the unit scale, or class scores. Where it is finer than the
        target (s > 1), it is binned: an acquired target says no more.
    target
        [N, C, Y, X], grey values on the unit scale, NaN where unknown; or [N, 1, Y, X], class
        indices held as float32, `UNKNOWN_CLASS` where unknown. For `border_cross_entropy`
        [N, 2, Y, X]: the classes and the weights.

    Raises
    ------
    RecipeError
        The target lacks the weights, or MS-SSIM is asked for over unknown pixels.
    """
    scale = prediction.shape[-1] // target.shape[-1]
    if scale > 1:
        prediction = nn.functional.avg_pool2d(prediction, scale)
    if name == "cross_entropy":
        return _cross_entropy_and_dice(prediction, target.squeeze(1).long())
    if name == "border_cross_entropy":
        return _border_cross_entropy(prediction, target)
    known = ~target.isnan()
    if bool(known.all()):
        return _restoring_loss(name, prediction, target)
    if name in ("ms_ssim_l1", "ms_ssim_l1_zhao"):
        raise RecipeError(
            f"expected targets that are known everywhere for the loss {name}, found "
            f"{int((~known).sum())} unknown pixels; choose l1, mse or charbonnier"
        )
    if not bool(known.any()):
        return prediction.sum() * 0
    return _restoring_loss(name, prediction[known], target[known])


def _restoring_loss(name: RestoringLoss, prediction: Tensor, target: Tensor) -> Tensor:
    match name:
        case "l1":
            return nn.functional.l1_loss(prediction, target)
        case "mse":
            return nn.functional.mse_loss(prediction, target)
        case "charbonnier":
            return torch.sqrt((prediction - target) ** 2 + CHARBONNIER_EPSILON**2).mean()
        case "ms_ssim_l1":
            return _mix(PSSR2_SHARE, prediction, target)
        case "ms_ssim_l1_zhao":
            return _mix(ZHAO_SHARE, prediction, target)
        case _:
            assert_never(name)


def _mix(share: float, prediction: Tensor, target: Tensor) -> Tensor:
    similarity = ms_ssim(prediction, target)
    return share * (1 - similarity) + (1 - share) * nn.functional.l1_loss(prediction, target)


def _cross_entropy_and_dice(scores: Tensor, classes: Tensor) -> Tensor:
    known = classes != UNKNOWN_CLASS
    if bool(known.all()):
        return nn.functional.cross_entropy(scores, classes) + _soft_dice_loss(scores, classes)
    if not bool(known.any()):
        return scores.sum() * 0
    entropy = nn.functional.cross_entropy(scores, classes, ignore_index=UNKNOWN_CLASS)
    return entropy + _soft_dice_loss(scores, classes, known)


def _soft_dice_loss(scores: Tensor, classes: Tensor, known: Tensor | None = None) -> Tensor:
    share = scores.softmax(dim=1)
    if known is not None:
        share, classes = share * known.unsqueeze(1), classes.where(known, 0)
    truth = nn.functional.one_hot(classes, scores.shape[1]).movedim(-1, 1).to(share.dtype)
    if known is not None:
        truth = truth * known.unsqueeze(1)
    both = (share * truth).sum(dim=(0, 2, 3))
    either = (share + truth).sum(dim=(0, 2, 3))
    return 1 - ((2 * both + 1) / (either + 1)).mean()


def _border_cross_entropy(scores: Tensor, target: Tensor) -> Tensor:
    """U-Net's energy, as a weighted mean: `sum w(x) * -log p(x) / sum w(x)`."""
    if target.shape[1] != 2:
        raise RecipeError(
            f"expected targets of two planes (class, weight) for border_cross_entropy, found "
            f"{target.shape[1]}; give the pairs weights (`borders.border_weights`)"
        )
    classes = target[:, 0].long()
    weights = target[:, 1] * (classes != UNKNOWN_CLASS)
    entropy = nn.functional.cross_entropy(scores, classes, ignore_index=UNKNOWN_CLASS, reduction="none")
    return (weights * entropy).sum() / weights.sum().clamp_min(torch.finfo(weights.dtype).tiny)
