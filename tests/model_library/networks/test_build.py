import pytest
import torch

from model_library.networks.build import build, in_channels, out_channels, receptive_radius, scale, stride
from model_library.networks.config import (
    EDSRConfig,
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


@pytest.mark.parametrize(("factor", "parameters"), [(2, 1_367_553), (4, 1_515_265)])
def test_edsr_baseline_has_the_published_size(factor: int, parameters: int):
    # 1,369,859 and 1,517,571 with three channels; two fewer at the head and the tail are 2,306 fewer.
    assert facts(EDSRConfig(blocks=16, width=64, scale=factor)).parameters == parameters


def test_edsr_carries_the_key_names_of_the_reference_code():
    keys = build(EDSRConfig(blocks=2, width=4, scale=4)).state_dict().keys()
    expected = ["head.0", "body.0.body.0", "body.0.body.2", "body.1.body.0", "body.1.body.2", "body.2"]
    expected += ["tail.0.0", "tail.0.2", "tail.1"]
    assert sorted(keys) == sorted(f"{key}.{part}" for key in expected for part in ("weight", "bias"))


@pytest.mark.parametrize("factor", [2, 3])
def test_edsr_starts_as_a_bilinear_resize(factor: int):
    torch.manual_seed(0)
    image = torch.rand(1, 1, 16, 16)
    module = build(EDSRConfig(blocks=2, width=8, scale=factor, residual_scale=0.0))
    module.body[-1].weight.data.zero_()
    with torch.no_grad():
        output = module(image)
    resized = torch.nn.functional.interpolate(image, scale_factor=float(factor), mode="bilinear")
    inside = (..., slice(2 * factor, -2 * factor), slice(2 * factor, -2 * factor))
    assert torch.allclose(output[inside], resized[inside], atol=1e-5)


def test_icnr_gives_every_phase_of_the_shuffle_the_same_picture():
    conv = icnr(torch.nn.Conv2d(3, 4 * 4, 3, padding=1), 2)
    with torch.no_grad():
        fine = torch.pixel_shuffle(conv(torch.rand(1, 3, 8, 8)), 2)
    phases = [fine[..., row::2, column::2] for row in (0, 1) for column in (0, 1)]
    assert all(torch.equal(phases[0], phase) for phase in phases[1:])


def test_flops_are_those_of_the_convolutions():
    # 3x3 from 1 to 4 channels, three of 4 to 4, one of 4 to 1; two operations a multiply-add.
    assert facts(ResidualDenoiserConfig(depth=5, width=4)).flops_per_pixel == 2 * 9 * (4 + 3 * 16 + 4)
