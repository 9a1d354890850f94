"""Figures that follow from an architecture alone; cards state them, tests recompute them."""

import torch
from torch import Tensor, nn

from model_library.networks.build import build, exact_tiling, receptive_radius, stride
from model_library.networks.config import NetworkConfig, NetworkFacts


def facts(config: NetworkConfig) -> NetworkFacts:
    """Compute the facts of an architecture, without allocating its weights."""
    with torch.device("meta"):
        module = build(config)
    return NetworkFacts(
        parameters=sum(parameter.numel() for parameter in module.parameters()),
        receptive_field_px=2 * receptive_radius(config) + 1,
        flops_per_pixel=_flops_per_pixel(module, config.in_channels, side=8 * stride(config)),
        exact_tiling=exact_tiling(config),
    )


def _flops_per_pixel(module: nn.Module, channels: int, side: int) -> int:
    total = 0

    def count(layer: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        assert isinstance(layer, nn.Conv2d)
        total += 2 * layer.weight[0].numel() * output.numel()

    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(count)
    module(torch.empty(1, channels, side, side, device="meta"))
    return round(total / side**2)
