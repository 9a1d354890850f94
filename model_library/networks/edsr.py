"""EDSR (Lim et al. 2017, arXiv:1707.02921) for single-channel images."""

import torch
from torch import Tensor, nn

from model_library.networks.config import EDSRConfig
from model_library.networks.layers import conv3, damped, icnr


class EDSRBlock(nn.Module):
    """Residual block without normalisation and without activation after the sum."""

    def __init__(self, width: int, residual_scale: float) -> None:
        super().__init__()
        self.body = nn.Sequential(conv3(width, width), nn.ReLU(inplace=True), damped(conv3(width, width)))
        self.residual_scale = residual_scale

    def forward(self, features: Tensor) -> Tensor:
        """[N, width, Y, X] -> [N, width, Y, X]."""
        change = self.body(features)
        # A multiplication by 1 would cost a pass over memory.
        result: Tensor = features + (change if self.residual_scale == 1 else self.residual_scale * change)
        return result


class EDSR(nn.Module):
    """Head, residual body with a long skip, sub-pixel up-sampling, tail.

    Keys carry the names of the reference code (`head.0`, `body.<n>.body.0`, `tail.0.0` ...). The
    initial weights pass the image through, resized bilinearly, so that a short training starts
    from a sensible picture.
    """

    def __init__(self, config: EDSRConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.head = nn.Sequential(conv3(1, width))
        blocks: list[nn.Module] = [EDSRBlock(width, config.residual_scale) for _ in range(config.blocks)]
        self.body = nn.Sequential(*blocks, damped(conv3(width, width)))
        self.tail = nn.Sequential(_upsampler(width, config.scale), conv3(width, 1))
        self._start_as_resize()

    def _start_as_resize(self) -> None:
        head, tail = self.head[0], self.tail[1]
        upsampler = self.tail[0]
        assert isinstance(head, nn.Conv2d)
        assert isinstance(tail, nn.Conv2d)
        assert isinstance(upsampler, nn.Sequential)
        layers = list(upsampler)
        with torch.no_grad():
            _pass_first_channel(head.weight[:1])
            _pass_first_channel(tail.weight)
            for conv, shuffle in zip(layers[::2], layers[1::2], strict=True):
                assert isinstance(conv, nn.Conv2d)
                assert isinstance(shuffle, nn.PixelShuffle)
                _resize_first_channel(conv.weight, shuffle.upscale_factor)

    def forward(self, image: Tensor) -> Tensor:
        """[N, 1, Y, X] unit scaled -> [N, 1, scale * Y, scale * X]."""
        features = self.head(image)
        result: Tensor = self.tail(features + self.body(features))
        return result


def _pass_first_channel(weight: Tensor) -> None:
    weight.zero_()
    weight[:, 0, 1, 1] = 1.0


def _resize_first_channel(weight: Tensor, factor: int) -> None:
    """Let the phases of the first shuffled channel interpolate the first channel bilinearly."""
    places = (torch.arange(factor) + 0.5) / factor - 0.5
    hats = (1 - (places[:, None] - torch.arange(-1, 2)).abs()).clamp(min=0)
    kernels = hats[:, None, :, None] * hats[None, :, None, :]
    weight[: factor**2] = 0.0
    weight[: factor**2, 0] = kernels.reshape(factor**2, 3, 3).to(weight)


def _upsampler(width: int, scale: int) -> nn.Sequential:
    factors = (3,) if scale == 3 else (2,) * (scale // 2)
    layers: list[nn.Module] = []
    for factor in factors:
        layers += [icnr(conv3(width, width * factor**2), factor), nn.PixelShuffle(factor)]
    return nn.Sequential(*layers)


def edsr_radius(config: EDSRConfig) -> int:
    """How far, in input pixels, an input pixel can influence the output.

    Head, two convolutions a block, the body's last and the first of the up-sampler reach one
    input pixel each; all that follow work on finer pixels and reach less than one more each.
    """
    finer = 2 if config.scale == 4 else 1
    return 1 + 2 * config.blocks + 1 + 1 + finer
