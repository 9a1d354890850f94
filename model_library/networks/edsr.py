"""EDSR (Lim et al. 2017, arXiv:1707.02921), as published for RGB, and for grey images and stacks."""

from torch import Tensor, nn

from model_library.networks.config import EDSRConfig, MDSRConfig, restored_channels
from model_library.networks.layers import conv3, damped
from model_library.networks.super_resolution import EDSRBlock, MeanShift, reach, start_as_resize, upsampler


class EDSR(nn.Module):
    """Head, residual body with a long skip, sub-pixel up-sampling, tail.

    Keys carry the names of the reference code (`sub_mean`, `head.0`, `body.<n>.body.0`, `tail.0.0`,
    `add_mean` ...). The initial weights pass the image through, resized bilinearly.
    """

    def __init__(self, config: EDSRConfig) -> None:
        super().__init__()
        self.config = config
        width, restored = config.width, restored_channels(config)
        self.sub_mean, self.add_mean = mean_shifts(config)
        self.head = nn.Sequential(conv3(config.in_channels, width))
        blocks: list[nn.Module] = [EDSRBlock(width, config.residual_scale) for _ in range(config.blocks)]
        self.body = nn.Sequential(*blocks, damped(conv3(width, width)))
        rise = upsampler(width, config.scale)
        self.tail = nn.Sequential(rise, conv3(width, restored))
        start_as_resize(self.head[0], [rise], self.tail[1], source_channels(config))

    def forward(self, image: Tensor) -> Tensor:
        """[N, in_channels, Y, X] unit scaled -> [N, 1 (RGB: 3), scale * Y, scale * X]."""
        features = self.head(self.sub_mean(ranged(image, self.config.value_range)))
        result: Tensor = self.add_mean(self.tail(features + self.body(features)))
        return ranged(result, 1 / self.config.value_range)


def mean_shifts(config: EDSRConfig | MDSRConfig) -> tuple[nn.Module, nn.Module]:
    """Make what takes the mean colour off and what adds it again; nothing but for RGB."""
    if config.channels != "rgb":
        return nn.Identity(), nn.Identity()
    return MeanShift(config.value_range, -1), MeanShift(config.value_range, 1)


def source_channels(config: EDSRConfig | MDSRConfig) -> tuple[int, ...]:
    """Give the input channels that the output channels of a fresh network follow."""
    colours = (config.in_channels // 2,) if config.channels != "rgb" else (0, 1, 2)
    return colours[: config.width]


def ranged(image: Tensor, value_range: float) -> Tensor:
    """Multiply an image, unless by 1: that would cost a pass over memory."""
    return image if value_range == 1 else image * value_range


def edsr_radius(config: EDSRConfig) -> int:
    """How far, in input pixels, an input pixel can influence the output."""
    return reach(2 * config.blocks, config.scale)
