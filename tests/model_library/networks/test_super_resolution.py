from collections.abc import Iterator

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from torch.nn.functional import conv2d, interpolate, pixel_shuffle, relu

from model_library.errors import WeightsError
from model_library.networks.build import build
from model_library.networks.config import EDSRConfig, MDSRConfig
from model_library.networks.transfer import transfer

RGB = {"in_channels": 3, "channels": "rgb", "value_range": 255.0}
DIV2K = torch.tensor((0.4488, 0.4371, 0.4040))
Layers = Iterator[tuple[str, int, int, int]]


def block(name: str, width: int, kernel: int) -> Layers:
    yield f"{name}.body.0", width, width, kernel
    yield f"{name}.body.2", width, width, kernel


def rise(name: str, width: int, scale: int) -> Layers:
    if scale == 3:
        yield f"{name}.0", width, 9 * width, 3
    else:
        yield from ((f"{name}.{2 * step}", width, 4 * width, 3) for step in range(scale // 2))


def body(blocks: int, width: int) -> Layers:
    for number in range(blocks):
        yield from block(f"body.{number}", width, 3)
    yield f"body.{blocks}", width, width, 3


def edsr_layers(config: EDSRConfig) -> Layers:
    """Name, inputs, outputs and kernel of the convolutions of the reference code, EDSR-PyTorch."""
    yield "head.0", 3, config.width, 3
    yield from body(config.blocks, config.width)
    yield from rise("tail.0", config.width, config.scale)
    yield "tail.1", config.width, 3, 3


def mdsr_layers(config: MDSRConfig) -> Layers:
    yield "head.0", 3, config.width, 3
    for place, scale in enumerate(config.scales):
        for number in range(2):
            yield from block(f"pre_process.{place}.{number}", config.width, 5)
        yield from rise(f"upsample.{place}", config.width, scale)
    yield from body(config.blocks, config.width)
    yield "tail.0", config.width, 3, 3


def checkpoint(layers: Layers) -> dict[str, Tensor]:
    """A state dict as the authors publish it: their names, the mean shift among them, white is 255."""
    draw = torch.Generator().manual_seed(3)
    state: dict[str, Tensor] = {}
    for name, inputs, outputs, kernel in layers:
        spread = 0.5 / (inputs * kernel**2) ** 0.5
        state[f"{name}.weight"] = torch.randn(outputs, inputs, kernel, kernel, generator=draw) * spread
        state[f"{name}.bias"] = torch.randn(outputs, generator=draw) * 0.1
    for name, sign in (("sub_mean", -1), ("add_mean", 1)):
        state[f"{name}.weight"] = torch.eye(3).reshape(3, 3, 1, 1)
        state[f"{name}.bias"] = sign * 255 * DIV2K
    return state


def apply(state: dict[str, Tensor], name: str, features: Tensor) -> Tensor:
    weight = state[f"{name}.weight"]
    return conv2d(features, weight, state[f"{name}.bias"], padding=weight.shape[-1] // 2)


def residual(state: dict[str, Tensor], name: str, features: Tensor, factor: float = 1.0) -> Tensor:
    inner = relu(apply(state, f"{name}.body.0", features))
    return features + factor * apply(state, f"{name}.body.2", inner)


def risen(state: dict[str, Tensor], name: str, features: Tensor, scale: int) -> Tensor:
    for step in range(1 if scale == 3 else scale // 2):
        features = pixel_shuffle(apply(state, f"{name}.{2 * step}", features), 3 if scale == 3 else 2)
    return features


def reference(state: dict[str, Tensor], image: Tensor, config: EDSRConfig | MDSRConfig) -> Tensor:
    """The published forward pass, image and result with white at 255."""
    head = apply(state, "head.0", apply(state, "sub_mean", image))
    factor, names = 1.0, ("tail.0", "tail.1")
    if isinstance(config, MDSRConfig):
        place = config.scales.index(config.scale)
        names = (f"upsample.{place}", "tail.0")
        for number in range(2):
            head = residual(state, f"pre_process.{place}.{number}", head)
    else:
        factor = config.residual_scale
    features = head
    for number in range(config.blocks):
        features = residual(state, f"body.{number}", features, factor)
    features = apply(state, f"body.{config.blocks}", features) + head
    return apply(state, "add_mean", apply(state, names[1], risen(state, names[0], features, config.scale)))


CONFIGS: list[EDSRConfig | MDSRConfig] = [
    *(EDSRConfig(blocks=3, width=8, scale=scale, **RGB) for scale in (2, 3, 4)),
    EDSRConfig(blocks=2, width=8, scale=2, residual_scale=0.1, **RGB),
    *(MDSRConfig(blocks=3, width=8, scale=scale, **RGB) for scale in (2, 3, 4)),
]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: f"{config.kind}-x{config.scale}")
def test_published_weights_load_strictly_and_compute_what_was_published(config: EDSRConfig | MDSRConfig):
    layers = edsr_layers(config) if isinstance(config, EDSRConfig) else mdsr_layers(config)
    state = checkpoint(layers)
    module = build(config)
    module.load_state_dict(state, strict=True)
    image = torch.rand(2, 3, 12, 9)
    with torch.no_grad():
        expected = reference(state, image * 255, config) / 255
        assert torch.allclose(module(image), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("config", "layers"),
    [
        (EDSRConfig(blocks=16, width=64, scale=4, **RGB), edsr_layers),
        (EDSRConfig(blocks=32, width=256, scale=3, residual_scale=0.1, **RGB), edsr_layers),
        (MDSRConfig(scale=2, **RGB), mdsr_layers),
    ],
    ids=["baseline", "full", "mdsr"],
)
def test_networks_of_the_published_size_have_the_published_keys_and_shapes(config, layers):
    with torch.device("meta"):
        module = build(config)
    expected = {
        **{f"{name}.weight": (b, a, k, k) for name, a, b, k in layers(config)},
        **{f"{name}.bias": (b,) for name, _, b, _ in layers(config)},
        **{f"{side}_mean.weight": (3, 3, 1, 1) for side in ("sub", "add")},
        **{f"{side}_mean.bias": (3,) for side in ("sub", "add")},
    }
    assert {key: tuple(tensor.shape) for key, tensor in module.state_dict().items()} == expected


def test_the_mean_shift_is_frozen():
    module = build(CONFIGS[0]).requires_grad_(True)
    assert not [name for name, _ in module.named_parameters() if "mean" in name]


def test_a_grey_network_has_no_mean_shift():
    keys = build(EDSRConfig(blocks=2, width=4, scale=4)).state_dict().keys()
    expected = ["head.0", "body.0.body.0", "body.0.body.2", "body.1.body.0", "body.1.body.2", "body.2"]
    expected += ["tail.0.0", "tail.0.2", "tail.1"]
    assert sorted(keys) == sorted(f"{key}.{part}" for key in expected for part in ("weight", "bias"))


@pytest.mark.parametrize("factor", [2, 3])
@pytest.mark.parametrize("kind", ["grey", "rgb", "slices"])
def test_edsr_starts_as_a_bilinear_resize(factor: int, kind: str):
    torch.manual_seed(0)
    count = {"grey": 1, "rgb": 3, "slices": 5}[kind]
    image = torch.rand(1, count, 16, 16)
    config = EDSRConfig(
        blocks=2, width=8, scale=factor, residual_scale=0.0, in_channels=count, channels=kind, value_range=255
    )
    module = build(config)
    module.body[-1].weight.data.zero_()
    with torch.no_grad():
        output = module(image)
    shown = image[:, 2:3] if kind == "slices" else image
    resized = interpolate(shown, scale_factor=float(factor), mode="bilinear")
    inside = (..., slice(2 * factor, -2 * factor), slice(2 * factor, -2 * factor))
    assert torch.allclose(output[inside], resized[inside], atol=1e-5)


@pytest.mark.parametrize("factor", [3, 4])
def test_the_body_of_x2_starts_the_others(factor: int):
    torch.manual_seed(0)
    double = build(EDSRConfig(blocks=2, width=8, scale=2)).state_dict()
    module = build(EDSRConfig(blocks=2, width=8, scale=factor))
    left = transfer(double, module)
    state = module.state_dict()
    expected = {3: {"tail.0.0.weight", "tail.0.0.bias"}, 4: {"tail.0.2.weight", "tail.0.2.bias"}}
    assert set(left) == expected[factor]
    assert all(torch.equal(state[key], double[key]) for key in state.keys() - set(left))


def test_a_body_of_another_size_starts_nothing():
    double = build(EDSRConfig(blocks=2, width=8, scale=2)).state_dict()
    for config in (EDSRConfig(blocks=3, width=8, scale=4), EDSRConfig(blocks=2, width=6, scale=4)):
        module = build(config)
        before = {key: value.clone() for key, value in module.state_dict().items()}
        with pytest.raises(WeightsError, match="same blocks and width"):
            transfer(double, module)
        assert all(torch.equal(value, before[key]) for key, value in module.state_dict().items())


def test_one_mdsr_serves_its_scales_by_configuration_and_at_call():
    torch.manual_seed(0)
    config = MDSRConfig(blocks=2, width=8, scale=2)
    module, image = build(config), torch.rand(1, 1, 8, 8)
    for scale in config.scales:
        other = build(config.model_copy(update={"scale": scale}))
        other.load_state_dict(module.state_dict(), strict=True)
        with torch.no_grad():
            assert torch.equal(other(image), module(image, scale))
            assert module(image, scale).shape == (1, 1, 8 * scale, 8 * scale)


def test_a_scale_that_the_weights_do_not_hold_is_refused():
    with pytest.raises(ValidationError, match="correct scale or scales"):
        MDSRConfig(blocks=1, width=4, scales=(2, 4), scale=3)
    with pytest.raises(ValidationError, match="correct scale or scales"):
        MDSRConfig(blocks=1, width=4, scales=(2, 2), scale=2)
    module = build(MDSRConfig(blocks=1, width=4, scales=(2, 4), scale=4))
    with pytest.raises(ValueError, match=r"\(2, 4\), found 3"):
        module(torch.rand(1, 1, 8, 8), 3)
