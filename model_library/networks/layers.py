"""Pieces that several architectures share."""

import torch
from torch import Tensor, nn


def conv3(inputs: int, outputs: int, *, stride: int = 1) -> nn.Conv2d:
    """Make a padded 3x3 convolution, He-initialised (He et al. 2015), with zero bias."""
    conv = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1)
    nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
    return without_bias_offset(conv)


def without_bias_offset(conv: nn.Conv2d) -> nn.Conv2d:
    """Zero the bias, so that a flat image starts out flat."""
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return conv


def damped(conv: nn.Conv2d, factor: float = 0.1) -> nn.Conv2d:
    """Scale the initial weights, so that a residual branch starts out small."""
    with torch.no_grad():
        conv.weight.mul_(factor)
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

    The basic block of ResNet (He et al. 2016) without normalisation.
    """

    def __init__(self, inputs: int, outputs: int, *, stride: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv3(inputs, outputs, stride=stride), nn.ReLU(inplace=True), damped(conv3(outputs, outputs))
        )
        same = inputs == outputs and stride == 1
        self.shortcut: nn.Module = (
            nn.Identity() if same else without_bias_offset(nn.Conv2d(inputs, outputs, 1, stride=stride))
        )

    def forward(self, features: Tensor) -> Tensor:
        """[N, inputs, Y, X] -> [N, outputs, Y/stride, X/stride]."""
        result: Tensor = nn.functional.relu(self.shortcut(features) + self.body(features))
        return result
