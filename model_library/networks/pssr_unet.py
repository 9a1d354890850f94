"""PSSR U-Net (Fang et al. 2021, doi:10.1038/s41592-021-01080-z), of any size."""

import torch
from torch import Tensor, nn

from model_library.networks.channels import carried
from model_library.networks.config import PSSRUNetConfig, restored_channels
from model_library.networks.layers import ResidualBlock, conv3, damped, icnr, padded_conv


class _Shuffle(nn.Sequential):
    """1x1 convolution and pixel shuffle, ICNR-initialised: twice the sampling."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(
            icnr(nn.Conv2d(inputs, outputs * 4, 1), 2), nn.ReLU(inplace=True), nn.PixelShuffle(2)
        )


class PSSRUNet(nn.Module):
    """Bilinear resize, ResNet encoder, pixel-shuffle decoder with skips.

    Deviations from the published network, all for small computers: no self-attention (so that tiles
    are exact), no blur after the shuffle, `width` channels at full sampling, and the resized input
    added to the output, which makes short training worthwhile. Shuffles and the last layers stay
    free of normalisation: it would bring phases and grey levels apart.
    """

    def __init__(self, config: PSSRUNetConfig) -> None:
        super().__init__()
        self.config = config
        width, norm, restored = config.width, config.normalisation, restored_channels(config)
        stem = padded_conv(config.in_channels, width, 7, stride=2, normalisation=norm)
        self.stem = nn.Sequential(stem, nn.ReLU(inplace=True))
        widths = [width * 2**stage for stage in range(len(config.blocks))]
        self.stages = nn.ModuleList()
        for stage, (count, outputs) in enumerate(zip(config.blocks, widths, strict=True)):
            inputs, step = widths[max(stage - 1, 0)], 2 if stage else 1
            first = ResidualBlock(inputs, outputs, stride=step, normalisation=norm)
            rest = [ResidualBlock(outputs, outputs, normalisation=norm) for _ in range(count - 1)]
            self.stages.append(nn.Sequential(first, *rest))
        lower = [*widths[:-1][::-1], width]
        self.rise = nn.ModuleList(
            _Shuffle(deep, shallow) for deep, shallow in zip(widths[::-1], lower, strict=True)
        )
        self.merge = nn.ModuleList(
            nn.Sequential(
                conv3(2 * shallow, shallow, normalisation=norm),
                nn.ReLU(inplace=True),
                ResidualBlock(shallow, shallow, normalisation=norm),
            )
            for shallow in lower
        )
        self.final = _Shuffle(width, width)
        self.last = nn.Sequential(
            conv3(width + restored, width),
            nn.ReLU(inplace=True),
            ResidualBlock(width, width),
            damped(conv3(width, restored)),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Apply the network.

        Parameters
        ----------
        image
            [N, in_channels, Y, X] unit scaled, sides multiples of the stride.

        Returns
        -------
        [N, 1 (RGB: 3), scale * Y, scale * X].
        """
        if self.config.scale > 1:
            image = nn.functional.interpolate(
                image, scale_factor=float(self.config.scale), mode="bilinear", align_corners=False
            )
        base = carried(image, self.config.channels)
        skips = [self.stem(image)]
        features = nn.functional.max_pool2d(skips[0], 3, stride=2, padding=1)
        for stage in self.stages:
            features = stage(features)
            skips.append(features)
        skips.pop()
        for rise, merge in zip(self.rise, self.merge, strict=True):
            features = merge(torch.cat([skips.pop(), rise(features)], dim=1))
        result: Tensor = self.last(torch.cat([base, self.final(features)], dim=1))
        return base + result


def pssr_unet_stride(config: PSSRUNetConfig) -> int:
    """Image sides must be multiples of this many (input) pixels."""
    coarsest = 1 << (len(config.blocks) + 1)
    return max(1, coarsest // config.scale)


def pssr_unet_radius(config: PSSRUNetConfig) -> int:
    """How far, in input pixels, an input pixel can influence the output.

    Summed on the resized grid: kernel radius times the sampling step of its layer, plus what each
    halving of the sampling spreads; then brought back to input pixels, plus one for the resize.
    """
    reach = 3 + 1  # stem: 7x7 kernel at step 1, halving
    reach += 2 + 2  # max-pool: 3x3 kernel at step 2, halving
    for stage, count in enumerate(config.blocks):
        step = 4 << max(stage - 1, 0)
        if stage:
            reach += step + step  # first kernel and halving, on the finer grid
            reach += (2 * count - 1) * 2 * step
        else:
            reach += 2 * count * step
    rising = [4 << stage for stage in range(len(config.blocks) - 1)] + [2]
    reach += sum(3 * step for step in rising)
    reach += 4  # convolutions at full sampling
    return -(-reach // config.scale) + (1 if config.scale > 1 else 0)
