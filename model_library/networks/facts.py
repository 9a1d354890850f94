"""Figures that follow from an architecture alone; cards state them, tests recompute them."""

from functools import cache

import torch
from torch import Tensor, nn

from model_library.networks.build import build, exact_tiling, receptive_radius, stride
from model_library.networks.config import MaskRCNNConfig, NetworkConfig, NetworkFacts
from model_library.networks.super_resolution import MeanShift

_DETECTOR_SIDE = 256


@cache
def facts(config: NetworkConfig) -> NetworkFacts:
    """Compute the facts of an architecture, without allocating its weights."""
    with torch.device("meta"):
        module = build(config)
    pixelwise, side = module, 8 * stride(config)
    if isinstance(config, MaskRCNNConfig):
        pixelwise, side = module.get_submodule("network.backbone"), _DETECTOR_SIDE
    return NetworkFacts(
        parameters=sum(parameter.numel() for parameter in module.parameters()),
        receptive_field_px=2 * receptive_radius(config) + 1,
        flops_per_pixel=_flops_per_pixel(pixelwise, config.in_channels, side),
        exact_tiling=exact_tiling(config),
    )


def _flops_per_pixel(module: nn.Module, channels: int, side: int) -> int:
    total = 0

    def count(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        assert isinstance(layer.weight, Tensor)
        # A transposed convolution spreads each pixel of its input over a kernel.
        places = inputs[0] if isinstance(layer, nn.ConvTranspose2d) else output
        total += 2 * layer.weight[0].numel() * places.numel()

    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | MeanShift):
            layer.register_forward_hook(count)
    module(torch.empty(1, channels, side, side, device="meta"))
    return round(total / side**2)
