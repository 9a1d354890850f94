"""A plain stack of convolutions that predicts the noise (DnCNN, Zhang et al. 2017)."""

from torch import Tensor, nn

from model_library.networks.channels import carried
from model_library.networks.config import ResidualDenoiserConfig, restored_channels
from model_library.networks.layers import conv3, damped


class ResidualDenoiser(nn.Module):
    """DnCNN without batch normalisation (arXiv:1608.03981): output = input - predicted noise."""

    def __init__(self, config: ResidualDenoiserConfig) -> None:
        super().__init__()
        self.config = config
        layers: list[nn.Module] = [conv3(config.in_channels, config.width), nn.ReLU(inplace=True)]
        for _ in range(config.depth - 2):
            layers += [conv3(config.width, config.width), nn.ReLU(inplace=True)]
        layers.append(damped(conv3(config.width, restored_channels(config))))
        self.noise = nn.Sequential(*layers)

    def forward(self, image: Tensor) -> Tensor:
        """[N, in_channels, Y, X] unit scaled -> [N, 1 (RGB: 3), Y, X]."""
        result: Tensor = carried(image, self.config.channels) - self.noise(image)
        return result


def residual_denoiser_radius(config: ResidualDenoiserConfig) -> int:
    """How far, in pixels, an input pixel can influence the output: one per convolution."""
    return config.depth
