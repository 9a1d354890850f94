"""U-Net (Ronneberger et al. 2015, arXiv:1505.04597), small and padded; 2.5-D and normalised on demand."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from model_library.networks.channels import carried
from model_library.networks.config import Normalisation, UNetConfig
from model_library.networks.layers import conv3, damped, without_bias_offset


def _double(inputs: int, outputs: int, normalisation: Normalisation) -> nn.Sequential:
    return nn.Sequential(
        conv3(inputs, outputs, normalisation=normalisation),
        nn.ReLU(inplace=True),
        conv3(outputs, outputs, normalisation=normalisation),
        nn.ReLU(inplace=True),
    )


class UNet(nn.Module):
    """Encoder and decoder with skips.

    Unlike the original, convolutions are padded (the output covers the input), and the way up is
    a 1x1 convolution followed by nearest-neighbour resize, which cannot draw a checkerboard.
    """

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        widths, norm = config.widths, config.normalisation
        inputs = (config.in_channels, *widths[:-1])
        self.down = nn.ModuleList(_double(a, b, norm) for a, b in zip(inputs, widths, strict=True))
        steps = [(deep, shallow) for shallow, deep in pairwise(widths)][::-1]
        self.reduce = nn.ModuleList(without_bias_offset(nn.Conv2d(a, b, 1)) for a, b in steps)
        self.up = nn.ModuleList(_double(2 * shallow, shallow, norm) for _, shallow in steps)
        head = without_bias_offset(nn.Conv2d(widths[0], config.out_channels, 1))
        self.head = damped(head) if config.residual else head

    def forward(self, image: Tensor) -> Tensor:
        """[N, in_channels, Y, X] unit scaled, Y and X multiples of the stride -> [N, out_channels, Y, X]."""
        skips: list[Tensor] = []
        features = image
        for level, block in enumerate(self.down):
            features = block(nn.functional.max_pool2d(features, 2) if level else features)
            skips.append(features)
        skips.pop()
        for reduce, block in zip(self.reduce, self.up, strict=True):
            features = nn.functional.interpolate(reduce(features), scale_factor=2.0, mode="nearest")
            features = block(torch.cat([skips.pop(), features], dim=1))
        result: Tensor = self.head(features)
        return carried(image, self.config.channels) + result if self.config.residual else result


def unet_stride(config: UNetConfig) -> int:
    """Image sides must be multiples of this many pixels."""
    return int(2 ** (len(config.widths) - 1))


def unet_radius(config: UNetConfig) -> int:
    """How far, in pixels, an input pixel can influence the output.

    Two 3x3 convolutions at each level on the way down and up (once at the bottom), each reaching
    `2**level` pixels, and `2**depth - 1` pixels that pooling spreads.
    """
    depth = len(config.widths) - 1
    coarsest: int = 2**depth
    return 4 * (coarsest - 1) + 2 * coarsest + coarsest - 1
