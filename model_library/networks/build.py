"""From a configuration to a module."""

from typing import assert_never

from torch import nn

from model_library.networks.config import (
    EDSRConfig,
    MaskRCNNConfig,
    MDSRConfig,
    NetworkConfig,
    PSSRUNetConfig,
    ResidualDenoiserConfig,
    UNetConfig,
    restored_channels,
)
from model_library.networks.edsr import EDSR, edsr_radius
from model_library.networks.mdsr import MDSR, mdsr_radius
from model_library.networks.pssr_unet import PSSRUNet, pssr_unet_radius, pssr_unet_stride
from model_library.networks.residual_denoiser import ResidualDenoiser, residual_denoiser_radius
from model_library.networks.unet import UNet, unet_radius, unet_stride


def build(config: NetworkConfig) -> nn.Module:
    """Make a freshly initialised module: [N, in_channels, Y, X] -> [N, C, scale * Y, scale * X], unit scaled.

    Mask R-CNN gives instances instead. The attribute `config` is the configuration. Initial weights
    come from torch's global generator: seed it (`torch.manual_seed`) first.
    """
    match config:
        case UNetConfig():
            return UNet(config)
        case ResidualDenoiserConfig():
            return ResidualDenoiser(config)
        case EDSRConfig():
            return EDSR(config)
        case MDSRConfig():
            return MDSR(config)
        case PSSRUNetConfig():
            return PSSRUNet(config)
        case MaskRCNNConfig():
            # torchvision takes seconds to load, and only this network needs it.
            from model_library.networks.mask_rcnn import MaskRCNN

            return MaskRCNN(config)
        case _:
            assert_never(config)


def config_of(module: nn.Module) -> NetworkConfig:
    """Give the configuration that a module was built from."""
    config: NetworkConfig = module.__dict__["config"]
    return config


def stride(config: NetworkConfig) -> int:
    """Image sides must be multiples of this many pixels; windows start at multiples of it."""
    match config:
        case UNetConfig():
            return unet_stride(config)
        case PSSRUNetConfig():
            return pssr_unet_stride(config)
        case ResidualDenoiserConfig() | EDSRConfig() | MDSRConfig() | MaskRCNNConfig():
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
        case MDSRConfig():
            return mdsr_radius(config)
        case PSSRUNetConfig():
            return pssr_unet_radius(config)
        case MaskRCNNConfig():
            from model_library.networks.mask_rcnn import mask_rcnn_radius

            return mask_rcnn_radius(config)
        case _:
            assert_never(config)


def scale(config: NetworkConfig) -> int:
    """Output pixels per input pixel along each axis."""
    match config:
        case EDSRConfig() | MDSRConfig() | PSSRUNetConfig():
            return config.scale
        case UNetConfig() | ResidualDenoiserConfig() | MaskRCNNConfig():
            return 1
        case _:
            assert_never(config)


def in_channels(config: NetworkConfig) -> int:
    """Channels of the input: 1 grey, 3 for RGB, an odd number of neighbouring slices for 2.5-D."""
    return config.in_channels


def out_channels(config: NetworkConfig) -> int:
    """Channels of the output: 1 (RGB: 3) for restoration, the number of classes for segmentation."""
    match config:
        case UNetConfig():
            return config.out_channels
        case MaskRCNNConfig():
            return config.classes
        case ResidualDenoiserConfig() | EDSRConfig() | MDSRConfig() | PSSRUNetConfig():
            return restored_channels(config)
        case _:
            assert_never(config)


def exact_tiling(config: NetworkConfig) -> bool:
    """Whether windows with a halo of the receptive radius give what the whole image gives."""
    match config:
        case UNetConfig() | PSSRUNetConfig():
            return config.normalisation in ("none", "batch")
        case ResidualDenoiserConfig() | EDSRConfig() | MDSRConfig():
            return True
        case MaskRCNNConfig():
            return False
        case _:
            assert_never(config)
