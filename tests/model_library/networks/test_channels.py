import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from model_library.networks.build import build, in_channels, out_channels
from model_library.networks.channels import neighbouring_slices
from model_library.networks.config import (
    EDSRConfig,
    NetworkConfig,
    PSSRUNetConfig,
    ResidualDenoiserConfig,
    UNetConfig,
)

RGB = {"in_channels": 3, "channels": "rgb"}
SLICES = {"in_channels": 5, "channels": "slices"}
RESTORING: list[NetworkConfig] = [
    UNetConfig(widths=(4, 6), out_channels=3, **RGB),
    ResidualDenoiserConfig(depth=4, width=4, **RGB),
    PSSRUNetConfig(blocks=(1, 1), width=4, scale=1, **RGB),
    UNetConfig(widths=(4, 6), **SLICES),
    ResidualDenoiserConfig(depth=4, width=4, **SLICES),
    PSSRUNetConfig(blocks=(1, 1), width=4, scale=1, **SLICES),
]


@pytest.mark.parametrize("config", RESTORING, ids=lambda config: f"{config.kind}-{config.channels}")
def test_a_network_without_an_opinion_returns_the_image_or_the_middle_slice(config: NetworkConfig):
    module, image = build(config), torch.rand(2, in_channels(config), 16, 16)
    for parameter in module.parameters():
        torch.nn.init.zeros_(parameter)
    expected = image[:, 2:3] if config.channels == "slices" else image
    assert expected.shape[1] == out_channels(config)
    with torch.no_grad():
        assert torch.equal(module(image), expected)


def test_classes_of_the_middle_slice_are_told_from_its_neighbours():
    torch.manual_seed(0)
    config = UNetConfig(widths=(4, 6), in_channels=3, channels="slices", out_channels=2, residual=False)
    image = torch.rand(1, 3, 16, 16, requires_grad=True)
    build(config)(image).sum().backward()
    assert image.grad is not None
    assert (image.grad.abs().sum(dim=(0, 2, 3)) > 0).all()


@pytest.mark.parametrize(
    ("count", "channels"), [(3, "grey"), (1, "rgb"), (4, "rgb"), (1, "slices"), (4, "slices"), (0, "grey")]
)
def test_channels_that_contradict_their_count_are_refused(count: int, channels: str):
    with pytest.raises(ValidationError, match="in_channels"):
        UNetConfig(widths=(4, 6), in_channels=count, channels=channels, residual=False)


def test_a_residual_network_returns_what_it_restores():
    with pytest.raises(ValidationError, match="correct out_channels or set residual to false"):
        UNetConfig(widths=(4, 6), out_channels=2)
    with pytest.raises(ValidationError, match="expected 3 output channels"):
        UNetConfig(widths=(4, 6), **RGB)


@pytest.mark.parametrize(
    "config",
    [
        {"kind": "unet", "widths": [4, 6], "out_channels": 1, "residual": True},
        {"kind": "residual_denoiser", "depth": 4, "width": 4},
        {"kind": "edsr", "blocks": 1, "width": 4, "scale": 2, "residual_scale": 1.0},
        {"kind": "pssr_unet", "blocks": [1, 1], "width": 4, "scale": 2},
    ],
    ids=lambda config: config["kind"],
)
def test_cards_from_before_colour_and_stacks_mean_grey_and_free_of_normalisation(config: dict[str, object]):
    read = TypeAdapter(NetworkConfig).validate_python(config)
    assert (read.in_channels, read.channels) == (1, "grey")
    assert getattr(read, "normalisation", "none") == "none"


@given(st.integers(1, 6), st.sampled_from([1, 3, 5, 7]), st.data())
def test_neighbours_are_slices_of_the_stack_with_the_asked_one_in_the_middle(depth: int, count: int, data):
    stack = np.arange(depth, dtype=np.float32)[:, None, None] * np.ones((1, 2, 3), np.float32)
    z = data.draw(st.integers(0, depth - 1))
    taken = neighbouring_slices(stack, z, count)[:, 0, 0]
    assert len(taken) == count
    assert list(taken) == [min(max(z + step, 0), depth - 1) for step in range(-(count // 2), count // 2 + 1)]


def test_edsr_of_another_kind_of_input_is_built_from_the_same_configuration():
    assert in_channels(EDSRConfig(blocks=1, width=4, scale=2)) == 1
