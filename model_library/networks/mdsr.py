"""MDSR (Lim et al. 2017, arXiv:1707.02921): one body for several scales."""

from torch import Tensor, nn

from model_library.networks.config import MDSRConfig, restored_channels
from model_library.networks.edsr import mean_shifts, ranged, source_channels
from model_library.networks.layers import conv3, damped
from model_library.networks.super_resolution import EDSRBlock, reach, start_as_resize, upsampler

_PRE_PROCESS_KERNEL = 5
_PRE_PROCESS_BLOCKS = 2


class MDSR(nn.Module):
    """EDSR with two 5x5 residual blocks and an up-sampler of its own for every scale.

    Keys carry the names of the reference code (`pre_process.<scale>.<n>.body.0`, `body.<n>.body.0`,
    `upsample.<scale>.0` ..., scales counted from 0 in the order of `config.scales`).
    """

    def __init__(self, config: MDSRConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.sub_mean, self.add_mean = mean_shifts(config)
        self.head = nn.Sequential(conv3(config.in_channels, width))
        self.pre_process = nn.ModuleList(
            nn.Sequential(*(EDSRBlock(width, kernel=_PRE_PROCESS_KERNEL) for _ in range(_PRE_PROCESS_BLOCKS)))
            for _ in config.scales
        )
        blocks: list[nn.Module] = [EDSRBlock(width) for _ in range(config.blocks)]
        self.body = nn.Sequential(*blocks, damped(conv3(width, width)))
        rises = [upsampler(width, scale) for scale in config.scales]
        self.upsample = nn.ModuleList(rises)
        self.tail = nn.Sequential(conv3(width, restored_channels(config)))
        start_as_resize(self.head[0], rises, self.tail[0], source_channels(config))

    def forward(self, image: Tensor, scale: int | None = None) -> Tensor:
        """Apply the network.

        Parameters
        ----------
        image
            [N, in_channels, Y, X] unit scaled.
        scale
            One of the configuration's scales; None means its `scale`.

        Returns
        -------
        [N, 1 (RGB: 3), scale * Y, scale * X].

        Raises
        ------
        ValueError
            The weights do not hold this scale.
        """
        if scale is None:
            scale = self.config.scale
        if scale not in self.config.scales:
            raise ValueError(f"expected one of the scales {self.config.scales}, found {scale}")
        place = self.config.scales.index(scale)
        features = self.head(self.sub_mean(ranged(image, self.config.value_range)))
        features = self.pre_process[place](features)
        finer = self.upsample[place](features + self.body(features))
        result: Tensor = self.add_mean(self.tail(finer))
        return ranged(result, 1 / self.config.value_range)


def mdsr_radius(config: MDSRConfig) -> int:
    """How far, in input pixels, an input pixel can influence the output."""
    return _PRE_PROCESS_BLOCKS * 2 * (_PRE_PROCESS_KERNEL // 2) + reach(2 * config.blocks, config.scale)
