import pytest
import torch

from model_library.networks.build import build, in_channels, out_channels, receptive_radius, scale, stride
from model_library.networks.config import (
    EDSRConfig,
    MDSRConfig,
    NetworkConfig,
    PSSRUNetConfig,
    ResidualDenoiserConfig,
    UNetConfig,
)
from model_library.networks.facts import facts
from model_library.networks.layers import icnr

CONFIGS: list[NetworkConfig] = [
    UNetConfig(widths=(4, 6, 8)),
    UNetConfig(widths=(4, 6), out_channels=3, residual=False),
    ResidualDenoiserConfig(depth=5, width=4),
    EDSRConfig(blocks=2, width=4, scale=2),
    EDSRConfig(blocks=1, width=4, scale=3),
    EDSRConfig(blocks=1, width=4, scale=4, residual_scale=0.1),
    EDSRConfig(blocks=1, width=4, scale=2, in_channels=3, channels="rgb"),
    EDSRConfig(blocks=1, width=4, scale=2, in_channels=5, channels="slices"),
    MDSRConfig(blocks=2, width=4, scale=2),
    MDSRConfig(blocks=1, width=4, scales=(4, 3), scale=3, in_channels=3, channels="rgb"),
    MDSRConfig(blocks=1, width=4, scale=4),
    PSSRUNetConfig(blocks=(1, 1), width=4, scale=1),
    PSSRUNetConfig(blocks=(1, 2), width=4, scale=2),
    PSSRUNetConfig(blocks=(1, 1), width=4, scale=4),
    UNetConfig(widths=(4, 6, 8), normalisation="batch"),
    UNetConfig(widths=(4, 6), in_channels=5, channels="slices"),
    UNetConfig(widths=(4, 6), in_channels=3, channels="rgb", out_channels=3),
    PSSRUNetConfig(blocks=(1, 1), width=4, scale=2, in_channels=3, channels="rgb", normalisation="batch"),
]
every_config = pytest.mark.parametrize(
    "config", CONFIGS, ids=lambda config: f"{config.kind}-{config.channels}-x{scale(config)}"
)


@every_config
def test_a_network_maps_a_batch_to_its_scale_and_channels(config: NetworkConfig):
    side = 4 * stride(config)
    with torch.no_grad():
        output = build(config)(torch.rand(2, in_channels(config), side, 2 * side))
    assert output.shape == (2, out_channels(config), side * scale(config), 2 * side * scale(config))
    assert torch.isfinite(output).all()


@every_config
def test_the_facts_count_what_is_built(config: NetworkConfig):
    assert facts(config).parameters == sum(tensor.numel() for tensor in build(config).parameters())


@every_config
def test_no_pixel_beyond_the_receptive_radius_matters(config: NetworkConfig):
    torch.manual_seed(0)
    step, factor, radius = stride(config), scale(config), receptive_radius(config)
    side = -(-(2 * radius + 3 * step) // step) * step
    module = build(config).double().eval()
    for offset in {0, 1, step // 2, step - 1}:
        image = torch.rand(1, in_channels(config), side, side, dtype=torch.float64, requires_grad=True)
        at = side // 2 // step * step + offset
        module(image)[0, :, at * factor + factor - 1, at * factor].sum().backward()
        _, rows, columns = torch.nonzero(image.grad[0], as_tuple=True)
        reach = max(int((rows - at).abs().max()), int((columns - at).abs().max()))
        assert reach <= radius


def test_the_receptive_radius_is_no_wild_overestimate():
    torch.manual_seed(1)
    config = ResidualDenoiserConfig(depth=6, width=8)
    image = torch.rand(1, 1, 31, 31, requires_grad=True)
    build(config)(image)[0, 0, 15, 15].backward()
    rows, _ = torch.nonzero(image.grad[0, 0], as_tuple=True)
    assert int((rows - 15).abs().max()) == receptive_radius(config)


def test_icnr_gives_every_phase_of_the_shuffle_the_same_picture():
    conv = icnr(torch.nn.Conv2d(3, 4 * 4, 3, padding=1), 2)
    with torch.no_grad():
        fine = torch.pixel_shuffle(conv(torch.rand(1, 3, 8, 8)), 2)
    assert phase_error(fine) == 0


@pytest.mark.parametrize("normalisation", ["none", "batch", "group"])
def test_every_shuffle_of_a_fresh_pssr_unet_is_free_of_the_checkerboard(normalisation: str):
    torch.manual_seed(0)
    module = build(PSSRUNetConfig(blocks=(1, 1, 1), width=4, scale=1, normalisation=normalisation))
    errors: list[float] = []
    for layer in (*module.rise, module.final):
        layer.register_forward_hook(lambda _layer, _inputs, fine: errors.append(phase_error(fine)))
    with torch.no_grad():
        module(torch.rand(1, 1, 32, 32))
    assert errors == [0.0] * 4


def phase_error(fine: torch.Tensor) -> float:
    """How far the four phases of a shuffled image are apart."""
    phases = [fine[..., row::2, column::2] for row in (0, 1) for column in (0, 1)]
    return max(float((phase - phases[0]).abs().max()) for phase in phases)


def test_flops_are_those_of_the_convolutions():
    # 3x3 from 1 to 4 channels, three of 4 to 4, one of 4 to 1; two operations a multiply-add.
    assert facts(ResidualDenoiserConfig(depth=5, width=4)).flops_per_pixel == 2 * 9 * (4 + 3 * 16 + 4)
