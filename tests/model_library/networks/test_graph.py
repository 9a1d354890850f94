"""Networks as lists of steps: what follows from the steps holds for the module."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from torch.utils.flop_counter import FlopCounterMode

from model_library.networks.build import (
    build,
    exact_tiling,
    out_channels,
    receptive_radius,
    scale,
    stride,
)
from model_library.networks.config import NetworkConfig
from model_library.networks.facts import facts
from model_library.networks.graph_config import (
    Activate,
    ByConstants,
    ByMoments,
    ByPercentiles,
    Combine,
    Convolve,
    Enlarge,
    GraphConfig,
    Join,
    Pool,
    Rescale,
    Shuffle,
    Standardise,
    Step,
)
from model_library.networks.graph_reach import reaches
from model_library.networks.units import scaling_for


def conv(source: int, inputs: int, outputs: int, kernel: int = 3, **more: object) -> Convolve:
    padding = ((kernel - 1) // 2,) * 2
    return Convolve(
        source=source,
        inputs=inputs,
        outputs=outputs,
        kernel=(kernel, kernel),
        **({"padding": padding} | more),
    )


U_SHAPE = GraphConfig(
    steps=(
        conv(0, 1, 4),
        Activate(source=1, function="relu"),
        Pool(source=2, function="max", kernel=(2, 2), stride=(2, 2)),
        conv(3, 4, 8),
        Activate(source=4, function="leaky_relu", slope=0.2),
        Convolve(
            source=5, inputs=8, outputs=4, kernel=(2, 2), stride=(2, 2), transposed=True, padding=(0, 0)
        ),
        Join(sources=(2, 6)),
        conv(7, 8, 1),
        Combine(function="add", left=0, right=8),
    )
)
FINER = GraphConfig(
    steps=(
        conv(0, 1, 8, 5),
        Shuffle(source=1, factor=2, order="dcr"),
        Enlarge(source=0, factor=2, mode="linear"),
        Join(sources=(2, 3)),
        conv(4, 3, 1, 1),
    )
)


def test_facts_are_those_of_the_steps():
    found = facts(U_SHAPE)
    assert (stride(U_SHAPE), scale(U_SHAPE), out_channels(U_SHAPE)) == (2, 1, 1)
    assert found.parameters == (9 * 4 + 4) + (9 * 4 * 8 + 8) + (4 * 8 * 4 + 4) + (9 * 8 + 1)
    assert found.exact_tiling
    side = 8 * stride(U_SHAPE)
    with FlopCounterMode(display=False) as counted, torch.device("meta"):
        build(U_SHAPE)(torch.empty(1, 1, side, side))
    assert found.flops_per_pixel == counted.get_total_flops() / side**2
    assert (stride(FINER), scale(FINER), receptive_radius(FINER)) == (1, 2, 3)


def test_a_configuration_survives_its_json():
    adapter: TypeAdapter[NetworkConfig] = TypeAdapter(NetworkConfig)
    assert adapter.validate_json(adapter.dump_json(U_SHAPE)) == U_SHAPE


def test_instance_normalisation_is_not_exact_in_tiles():
    config = GraphConfig(steps=(conv(0, 1, 2), Standardise(source=1, channels=2, epsilon=1e-5)))
    assert not exact_tiling(config)
    assert exact_tiling(FINER)


@st.composite
def graphs(draw: st.DrawFn) -> GraphConfig:
    """A few steps in a row, no coarser than the image at the end, with the image joined where it fits."""
    steps: list[Step] = []
    channels, coarse = 1, 0
    for _ in range(draw(st.integers(1, 6))):
        source = len(steps)
        match draw(st.sampled_from(["conv", "wide", "down", "pool", "up", "turn"])):
            case "conv":
                steps.append(conv(source, channels, channels := draw(st.sampled_from([1, 2, 4]))))
            case "wide":
                steps.append(conv(source, channels, channels, 3, dilation=(2, 2), padding=(2, 2)))
            case "down" if coarse < 2:
                steps.append(conv(source, channels, channels, 3, stride=(2, 2), padding=(1, 1)))
                coarse += 1
            case "pool" if coarse < 2:
                steps.append(Pool(source=source, function="max", kernel=(2, 2), stride=(2, 2)))
                coarse += 1
            case "up" if coarse > 0:
                mode = draw(st.sampled_from(["nearest", "linear"]))
                steps.append(Enlarge(source=source, factor=2, mode=mode))
                coarse -= 1
            case "turn" if coarse > 0:
                steps.append(
                    Convolve(
                        source=source, inputs=channels, outputs=channels, kernel=(4, 4), stride=(2, 2),
                        padding=(1, 1), transposed=True,
                    )
                )  # fmt: skip
                coarse -= 1
    while coarse > 0:
        steps.append(Enlarge(source=len(steps), factor=2, mode="nearest"))
        coarse -= 1
    if not steps:
        steps.append(conv(0, 1, 1))
    return GraphConfig(steps=tuple(steps))


def positive(config: GraphConfig) -> torch.nn.Module:
    """A module in which no influence cancels another."""
    module = build(config).double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.abs_().add_(0.01)
    return module


@settings(deadline=None, max_examples=40)
@given(graphs(), st.integers(0, 47), st.integers(0, 47))
def test_no_pixel_reaches_farther_than_the_radius(config: GraphConfig, y: int, x: int):
    module = positive(config)
    image = torch.rand(1, 1, 48, 48, dtype=torch.float64)
    changed = image.clone()
    changed[0, 0, y, x] += 5
    with torch.inference_mode():
        difference = (module(changed) - module(image)).abs().amax(dim=(0, 1))
    rows, columns = np.nonzero(difference.numpy() > 1e-9)
    factor, radius = scale(config), receptive_radius(config)
    assert difference.shape == (48 * factor, 48 * factor)
    assert np.abs(rows // factor - y).max(initial=0) <= radius
    assert np.abs(columns // factor - x).max(initial=0) <= radius
    assert 48 % stride(config) == 0


@settings(deadline=None, max_examples=20)
@given(graphs())
def test_a_window_with_its_halo_gives_what_the_whole_gives(config: GraphConfig):
    module, step = positive(config), stride(config)
    halo = -(-receptive_radius(config) // step) * step
    image = torch.rand(1, 1, 2 * halo + 8 * step, 16, dtype=torch.float64)
    with torch.inference_mode():
        whole = module(image)
        upper = module(image[:, :, : 2 * halo + 4 * step])
    kept = slice(0, halo + 4 * step)
    torch.testing.assert_close(upper[:, :, kept], whole[:, :, kept])


IMPOSSIBLE = {
    "later value": ((Activate(source=1, function="relu"),), "put steps in the order"),
    "wrong channels": ((conv(0, 2, 1),), "expected 2 channels, found 1"),
    "wrong shuffle": ((Shuffle(source=0, factor=2),), "multiple of 4 channels"),
    "different samplings": (
        (Enlarge(source=0, factor=2, mode="nearest"), Combine(function="add", left=0, right=1)),
        "one sampling",
    ),
    "different channels": (
        (conv(0, 1, 2), conv(0, 1, 3), Combine(function="add", left=1, right=2)), "as many channels",
    ),
    "two strides": ((conv(0, 1, 1, stride=(1, 2)),), "one stride"),
}  # fmt: skip


@pytest.mark.parametrize("case", IMPOSSIBLE)
def test_steps_that_do_not_follow_are_refused(case: str):
    steps, reason = IMPOSSIBLE[case]
    with pytest.raises((ValueError, ValidationError), match=reason):
        reaches(GraphConfig(steps=steps))


def test_a_coarser_output_has_no_scale():
    with pytest.raises(ValueError, match="sampling of the image or finer"):
        scale(GraphConfig(steps=(conv(0, 1, 1, stride=(2, 2)),)))


def test_one_weight_may_serve_all_channels():
    module = build(GraphConfig(steps=(conv(0, 1, 3), Rescale(source=1, channels=1))))
    assert module(torch.zeros(1, 1, 4, 4)).shape == (1, 3, 4, 4)


def test_units_are_those_that_the_network_was_trained_with():
    pixels = np.random.default_rng(2).gamma(2.0, 30.0, (40, 50)).astype(np.float32)
    steps = (conv(0, 1, 1),)
    unit = scaling_for(GraphConfig(steps=steps, units=ByMoments()), pixels).apply(pixels)
    assert abs(unit.mean()) < 1e-5
    assert unit.std() == pytest.approx(1, abs=1e-5)
    scaling = scaling_for(GraphConfig(steps=steps, units=ByPercentiles(low=5, high=95)), pixels)
    assert scaling.offset == pytest.approx(np.percentile(pixels, 5))
    fixed = scaling_for(GraphConfig(steps=steps, units=ByConstants(offset=100, gain=50)), pixels)
    assert (fixed.offset, fixed.gain) == (100, 50)
