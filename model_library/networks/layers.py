"""Pieces that several architectures share."""

import torch
from torch import Tensor, nn

from model_library.networks.config import Normalisation
from model_library.networks.normalisation import NormedConv

_DAMPING = 0.1


def conv3(inputs: int, outputs: int, *, stride: int = 1, normalisation: Normalisation = "none") -> nn.Conv2d:
    """Make a padded 3x3 convolution; see `padded_conv`."""
    return padded_conv(inputs, outputs, 3, stride=stride, normalisation=normalisation)


def padded_conv(
    inputs: int, outputs: int, kernel: int, *, stride: int = 1, normalisation: Normalisation = "none"
) -> nn.Conv2d:
    """Make a padded convolution, He-initialised (He et al. 2015), normalised or with zero bias."""
    conv = (
        nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2)
        if normalisation == "none"
        else NormedConv(inputs, outputs, kernel, stride=stride, normalisation=normalisation)
    )
    nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
    return without_bias_offset(conv)


def without_bias_offset(conv: nn.Conv2d) -> nn.Conv2d:
    """Zero the bias, so that a flat image starts out flat."""
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return conv


def damped(conv: nn.Conv2d) -> nn.Conv2d:
    """Scale the initial weights, so that a residual branch starts out small."""
    last = conv.norm if isinstance(conv, NormedConv) else conv
    assert isinstance(last.weight, Tensor)
    with torch.no_grad():
        last.weight.mul_(_DAMPING)
    return conv


def icnr(conv: nn.Conv2d, scale: int) -> nn.Conv2d:
    """Give all `scale**2` phases of a pixel shuffle the same initial kernel.

    Initialised to nearest-neighbour resize, a sub-pixel convolution starts without the
    checkerboard (Aitken et al. 2017, arXiv:1707.02937).
    """
    with torch.no_grad():
        kernel = conv.weight[:: scale**2]
        conv.weight.copy_(kernel.repeat_interleave(scale**2, dim=0))
    return without_bias_offset(conv)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions added to their input; a 1x1 projection where shapes differ.

    The basic block of ResNet (He et al. 2016).
    """

    def __init__(
        self, inputs: int, outputs: int, *, stride: int = 1, normalisation: Normalisation = "none"
    ) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv3(inputs, outputs, stride=stride, normalisation=normalisation),
            nn.ReLU(inplace=True),
            damped(conv3(outputs, outputs, normalisation=normalisation)),
        )
        same = inputs == outputs and stride == 1
        self.shortcut: nn.Module = (
            nn.Identity() if same else _projection(inputs, outputs, stride, normalisation)
        )

    def forward(self, features: Tensor) -> Tensor:
        """[N, inputs, Y, X] -> [N, outputs, Y/stride, X/stride]."""
        result: Tensor = nn.functional.relu(self.shortcut(features) + self.body(features))
        return result


def _projection(inputs: int, outputs: int, stride: int, normalisation: Normalisation) -> nn.Conv2d:
    if normalisation == "none":
        return without_bias_offset(nn.Conv2d(inputs, outputs, 1, stride=stride))
    return NormedConv(inputs, outputs, 1, stride=stride, normalisation=normalisation)
