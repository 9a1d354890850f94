"""Pieces of EDSR and MDSR (Lim et al. 2017), whose keys are those of the reference code."""

import torch
from torch import Tensor, nn

from model_library.networks.layers import damped, icnr, padded_conv

DIV2K_MEAN = (0.4488, 0.4371, 0.4040)
"""Mean red, green and blue of the images that the networks were published with, white being 1."""


class MeanShift(nn.Module):
    """Takes the mean colour off, or adds it; frozen, so its arrays are no parameters.

    Of what is loaded the arrays are used, as the reference code does: a 1x1 convolution.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, value_range: float, sign: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.eye(3).reshape(3, 3, 1, 1))
        self.register_buffer("bias", sign * value_range * torch.tensor(DIV2K_MEAN))

    def forward(self, image: Tensor) -> Tensor:
        """[N, 3, Y, X] -> [N, 3, Y, X]."""
        return nn.functional.conv2d(image, self.weight, self.bias)


class EDSRBlock(nn.Module):
    """Residual block without normalisation and without activation after the sum."""

    def __init__(self, width: int, residual_scale: float = 1.0, *, kernel: int = 3) -> None:
        super().__init__()
        self.body = nn.Sequential(
            padded_conv(width, width, kernel),
            nn.ReLU(inplace=True),
            damped(padded_conv(width, width, kernel)),
        )
        self.residual_scale = residual_scale

    def forward(self, features: Tensor) -> Tensor:
        """[N, width, Y, X] -> [N, width, Y, X]."""
        change = self.body(features)
        # A multiplication by 1 would cost a pass over memory.
        result: Tensor = features + (change if self.residual_scale == 1 else self.residual_scale * change)
        return result


def upsampler(width: int, scale: int) -> nn.Sequential:
    """Make sub-pixel convolutions: one for each doubling, or one that triples."""
    factors = (3,) if scale == 3 else (2,) * (scale // 2)
    layers: list[nn.Module] = []
    for factor in factors:
        layers += [icnr(padded_conv(width, width * factor**2, 3), factor), nn.PixelShuffle(factor)]
    return nn.Sequential(*layers)


@torch.no_grad()
def start_as_resize(
    head: nn.Module, upsamplers: list[nn.Sequential], tail: nn.Module, sources: tuple[int, ...]
) -> None:
    """Let fresh weights pass the image through, resized bilinearly.

    A short training then starts from a sensible picture.

    Parameters
    ----------
    head, tail
        First and last 3x3 convolution.
    upsamplers
        As `upsampler` makes them.
    sources
        The input channels that the output channels follow, no more than there are features.
    """
    assert isinstance(head, nn.Conv2d)
    assert isinstance(tail, nn.Conv2d)
    tail.weight.zero_()
    for feature, source in enumerate(sources):
        head.weight[feature] = 0.0
        head.weight[feature, source, 1, 1] = 1.0
        tail.weight[feature, feature, 1, 1] = 1.0
    for upsample in upsamplers:
        layers = list(upsample)
        for conv, shuffle in zip(layers[::2], layers[1::2], strict=True):
            assert isinstance(conv, nn.Conv2d)
            assert isinstance(shuffle, nn.PixelShuffle)
            _resize_features(conv.weight, shuffle.upscale_factor, len(sources))


def _resize_features(weight: Tensor, factor: int, count: int) -> None:
    """Let the phases of the first shuffled features interpolate the first features bilinearly."""
    places = (torch.arange(factor) + 0.5) / factor - 0.5
    hats = (1 - (places[:, None] - torch.arange(-1, 2)).abs()).clamp(min=0)
    kernels = (hats[:, None, :, None] * hats[None, :, None, :]).reshape(factor**2, 3, 3).to(weight)
    for feature in range(count):
        phases = slice(feature * factor**2, (feature + 1) * factor**2)
        weight[phases] = 0.0
        weight[phases, feature] = kernels


def reach(block_convolutions: int, scale: int) -> int:
    """How far, in input pixels, an input pixel can influence the output, given 3x3 convolutions.

    Head, those of the blocks, the body's last and the first of the up-sampler reach one input pixel
    each; all that follow work on finer pixels and reach less than one more each.
    """
    return 1 + block_convolutions + 1 + 1 + (2 if scale == 4 else 1)
