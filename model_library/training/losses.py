"""How far a prediction is from its target, as a number to descend."""

from typing import Literal, assert_never

from torch import Tensor, nn

LossName = Literal["l1", "mse", "cross_entropy"]


def loss_of(name: LossName, prediction: Tensor, target: Tensor) -> Tensor:
    """Mean loss of a batch.

    Parameters
    ----------
    name
        `l1` or `mse` for restoration. `mse` is the one whose minimum is unmoved by noise in the
        target, so it is the one for targets that are themselves acquired. `cross_entropy` (plus the
        soft Dice loss, Milletari et al. 2016, against rare classes) for segmentation.
    prediction
        [N, C, s Y, s X]; grey values on the unit scale, or class scores. Where it is finer than the
        target (s > 1), it is binned: an acquired target says no more.
    target
        [N, 1, Y, X]; grey values on the unit scale, or class indices held as float32.
    """
    scale = prediction.shape[-1] // target.shape[-1]
    if scale > 1:
        prediction = nn.functional.avg_pool2d(prediction, scale)
    match name:
        case "l1":
            return nn.functional.l1_loss(prediction, target)
        case "mse":
            return nn.functional.mse_loss(prediction, target)
        case "cross_entropy":
            classes = target.squeeze(1).long()
            return nn.functional.cross_entropy(prediction, classes) + _soft_dice_loss(prediction, classes)
        case _:
            assert_never(name)


def _soft_dice_loss(scores: Tensor, classes: Tensor) -> Tensor:
    share = scores.softmax(dim=1)
    truth = nn.functional.one_hot(classes, scores.shape[1]).movedim(-1, 1).to(share.dtype)
    both = (share * truth).sum(dim=(0, 2, 3))
    either = (share + truth).sum(dim=(0, 2, 3))
    return 1 - ((2 * both + 1) / (either + 1)).mean()
