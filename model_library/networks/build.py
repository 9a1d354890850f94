"""From a configuration to a module."""

from typing import assert_never

from torch import nn

from model_library.networks.config import (
    EDSRConfig,
    NetworkConfig,
    PSSRUNetConfig,
    ResidualDenoiserConfig,
    UNetConfig,
)
from model_library.networks.edsr import EDSR, edsr_radius
from model_library.networks.pssr_unet import PSSRUNet, pssr_unet_radius, pssr_unet_stride
from model_library.networks.residual_denoiser import ResidualDenoiser, residual_denoiser_radius
from model_library.networks.unet import UNet, unet_radius, unet_stride


def build(config: NetworkConfig) -> nn.Module:
    """Make a freshly initialised module: [N, 1, Y, X] -> [N, C, scale * Y, scale * X], unit scaled.

    Initial weights come from torch's global generator: seed it (`torch.manual_seed`) first.
    """
    match config:
        case UNetConfig():
            return UNet(config)
        case ResidualDenoiserConfig():
            return ResidualDenoiser(config)
        case EDSRConfig():
            return EDSR(config)
        case PSSRUNetConfig():
            return PSSRUNet(config)
        case _:
            assert_never(config)


def stride(config: NetworkConfig) -> int:
    """Image sides must be multiples of this many pixels; windows start at multiples of it."""
    match config:
        case UNetConfig():
            return unet_stride(config)
        case PSSRUNetConfig():
            return pssr_unet_stride(config)
        case ResidualDenoiserConfig() | EDSRConfig():
            return 1
        case _:
            assert_never(config)


def receptive_radius(config: NetworkConfig) -> int:
    """How far, in input pixels, an input pixel can influence the output (never too small)."""
    match config:
        case UNetConfig():
            return unet_radius(config)
        case ResidualDenoiserConfig():
            return residual_denoiser_radius(config)
        case EDSRConfig():
            return edsr_radius(config)
        case PSSRUNetConfig():
            return pssr_unet_radius(config)
        case _:
            assert_never(config)


def scale(config: NetworkConfig) -> int:
    """Output pixels per input pixel along each axis."""
    match config:
        case EDSRConfig() | PSSRUNetConfig():
            return config.scale
        case UNetConfig() | ResidualDenoiserConfig():
            return 1
        case _:
            assert_never(config)


def out_channels(config: NetworkConfig) -> int:
    """Channels of the output: 1 for restoration, the number of classes for segmentation."""
    return config.out_channels if isinstance(config, UNetConfig) else 1
