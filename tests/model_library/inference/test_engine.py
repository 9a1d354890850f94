from collections.abc import Callable

import numpy as np
import pytest
import torch

from model_library.errors import NonFinitePixels, UnsupportedImage
from model_library.inference.engine import LoadedNetwork, NetworkMethod, forward_tiled, restore, segment
from model_library.networks.build import in_channels, out_channels, scale
from model_library.networks.config import (
    EDSRConfig,
    MDSRConfig,
    NetworkConfig,
    PSSRUNetConfig,
    ResidualDenoiserConfig,
    UNetConfig,
)
from model_library.networks.facts import facts
from model_library.zoo.registry import Library

RGB = {"in_channels": 3, "channels": "rgb"}
SLICES = {"in_channels": 5, "channels": "slices"}
RESTORING: list[NetworkConfig] = [
    UNetConfig(widths=(4, 6, 8)),
    ResidualDenoiserConfig(depth=6, width=4),
    EDSRConfig(blocks=2, width=4, scale=2),
    EDSRConfig(blocks=1, width=4, scale=4),
    PSSRUNetConfig(blocks=(1, 1), width=4, scale=2),
]
EXACT: list[NetworkConfig] = [
    *RESTORING,
    UNetConfig(widths=(16, 32), out_channels=4, residual=False),
    UNetConfig(widths=(4, 6, 8), normalisation="batch"),
    UNetConfig(widths=(8, 16), out_channels=3, **RGB),
    UNetConfig(widths=(5, 7), **SLICES),
    ResidualDenoiserConfig(depth=5, width=32),
    EDSRConfig(blocks=2, width=16, scale=3, residual_scale=0.1),
    EDSRConfig(blocks=1, width=8, scale=2, value_range=255, **RGB),
    MDSRConfig(blocks=1, width=8, scale=3),
    PSSRUNetConfig(blocks=(1, 1), width=8, scale=4, normalisation="batch"),
    PSSRUNetConfig(blocks=(1, 1), width=4, scale=1, **SLICES),
]
Plant = Callable[..., LoadedNetwork]


def image(shape: tuple[int, int] = (150, 131), seed: int = 3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    return (120 + 40 * np.sin(x / 9) * np.cos(y / 13) + rng.normal(0, 12, shape)).astype(np.float32)


def channels(config: NetworkConfig, shape: tuple[int, int]) -> np.ndarray:
    return np.stack([image(shape, seed) / 200 for seed in range(in_channels(config))])


@pytest.mark.parametrize("tile_px", [32, 75, 128])
@pytest.mark.parametrize(
    "config", EXACT, ids=lambda config: f"{config.kind}-{config.channels}-x{scale(config)}"
)
def test_tiles_give_bit_for_bit_what_the_whole_image_gives(config: NetworkConfig, tile_px: int, plant: Plant):
    assert facts(config).exact_tiling
    loaded = plant(config)
    pixels = channels(config, (203, 131))
    whole = forward_tiled(loaded, pixels, tile_px=4096)
    assert whole.shape == (out_channels(config), 203 * scale(config), 131 * scale(config))
    assert np.array_equal(forward_tiled(loaded, pixels, tile_px=tile_px), whole)


@pytest.mark.parametrize("network_id", Library().ids())
def test_networks_that_ship_give_bit_for_bit_what_the_whole_image_gives(network_id: str):
    loaded = Library().load(network_id)
    pixels = channels(loaded.card.config, (185, 41))
    whole = forward_tiled(loaded, pixels, tile_px=4096)
    same = np.array_equal(forward_tiled(loaded, pixels, tile_px=32), whole)
    assert same == loaded.card.facts.exact_tiling


@pytest.mark.parametrize("normalisation", ["instance", "group"])
def test_normalisation_over_space_makes_tiles_differ_as_the_card_says(normalisation: str, plant: Plant):
    config = UNetConfig(widths=(4, 6, 8), normalisation=normalisation, residual=False)
    assert not facts(config).exact_tiling
    loaded, pixels = plant(config), channels(config, (203, 131))
    whole = forward_tiled(loaded, pixels, tile_px=4096)
    assert np.abs(forward_tiled(loaded, pixels, tile_px=64) - whole).max() > 0.01 * whole.std()


@pytest.mark.parametrize("config", RESTORING, ids=lambda config: f"{config.kind}-x{scale(config)}")
def test_a_method_gives_the_same_in_tiles(config: NetworkConfig, plant: Plant):
    loaded = plant(config)
    pixels = image((260, 231))
    whole = NetworkMethod(loaded, tile_px=4096)(pixels)
    assert whole.shape == (260 * scale(config), 231 * scale(config))
    assert np.array_equal(NetworkMethod(loaded, tile_px=96)(pixels), whole)


@pytest.mark.parametrize("config", RESTORING, ids=lambda config: f"{config.kind}-x{scale(config)}")
def test_a_self_ensemble_turns_with_the_image(config: NetworkConfig, plant: Plant):
    method = NetworkMethod(plant(config), self_ensemble=True)
    # Sides that are multiples of every stride: padding has a side, and would not turn.
    pixels = image((96, 64))
    restored = method(pixels)
    tolerance = 1e-5 * restored.std()
    assert np.abs(method(np.rot90(pixels).copy()) - np.rot90(restored)).max() < tolerance
    assert np.abs(method(pixels[:, ::-1].copy()) - restored[:, ::-1]).max() < tolerance
    single = NetworkMethod(plant(config))
    assert np.abs(single(np.rot90(pixels).copy()) - np.rot90(single(pixels))).max() > tolerance


def test_a_self_ensemble_is_the_mean_of_eight(plant: Plant):
    single = NetworkMethod(plant(RESTORING[0]))
    pixels = image((64, 96))
    eight = []
    for turns in range(4):
        turned = np.rot90(pixels, turns)
        eight.append(np.rot90(single(turned.copy()), -turns))
        eight.append(np.rot90(single(turned[:, ::-1].copy())[:, ::-1], -turns))
    mean = NetworkMethod(plant(RESTORING[0]), self_ensemble=True)(pixels)
    assert np.abs(mean - np.mean(eight, axis=0)).max() < 1e-4 * mean.std()


def test_a_self_ensemble_is_the_same_in_tiles(plant: Plant):
    loaded, pixels = plant(RESTORING[0]), channels(RESTORING[0], (120, 90))
    whole = forward_tiled(loaded, pixels, tile_px=4096, self_ensemble=True)
    assert np.array_equal(forward_tiled(loaded, pixels, tile_px=64, self_ensemble=True), whole)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_another_number_of_channels_is_refused(count: int, plant: Plant):
    loaded = plant(UNetConfig(widths=(4, 6), in_channels=3, channels="slices"))
    with pytest.raises(UnsupportedImage, match=rf"expected an image of 3 channels \(slices\).*found {count}"):
        restore(np.zeros((count, 32, 32), np.float32), loaded)


@pytest.mark.parametrize(
    "config", [UNetConfig(widths=(4, 6), **SLICES), ResidualDenoiserConfig(depth=3, width=4, **RGB)]
)
def test_a_network_of_colour_or_stacks_is_no_method_of_grey_images(config: NetworkConfig, plant: Plant):
    with pytest.raises(ValueError, match=f"works on {config.channels}"):
        NetworkMethod(plant(config))


def test_segmentation_is_the_same_in_tiles(plant: Plant):
    loaded = plant(UNetConfig(widths=(4, 6, 8), out_channels=2, residual=False))
    pixels = image()
    whole = segment(pixels, loaded, tile_px=4096)
    assert whole.dtype == np.uint8
    assert set(np.unique(whole)) <= {0, 1}
    assert np.array_equal(segment(pixels, loaded, tile_px=64), whole)


def test_a_segmenting_network_is_no_restoring_method(plant: Plant):
    loaded = plant(UNetConfig(widths=(4, 6), out_channels=2, residual=False))
    with pytest.raises(ValueError, match="segment"):
        NetworkMethod(loaded)


@pytest.mark.parametrize("shape", [(1, 1), (7, 1), (33, 64), (65, 127)])
@pytest.mark.parametrize("config", [RESTORING[0], RESTORING[2], RESTORING[4]], ids=lambda config: config.kind)
def test_any_size_comes_back_at_its_scale(config: NetworkConfig, shape: tuple[int, int], plant: Plant):
    restored = NetworkMethod(plant(config))(image(shape))
    assert restored.shape == (shape[0] * scale(config), shape[1] * scale(config))
    assert restored.dtype == np.float32


@pytest.mark.parametrize("value", [0.0, 7.0, 65535.0])
def test_a_flat_image_is_restored_without_nonsense(value: float, plant: Plant):
    restored = NetworkMethod(plant(RESTORING[0]))(np.full((64, 64), value, np.float32))
    assert np.abs(restored - value).max() < 5


def test_grey_values_keep_their_units(plant: Plant):
    method = NetworkMethod(plant(RESTORING[0]))
    eight_bit = image()
    sixteen_bit = (eight_bit * 200 + 1000).astype(np.float32)
    expected = method(eight_bit) * 200 + 1000
    assert np.abs(method(sixteen_bit) - expected).max() < 1e-3 * expected.std()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_an_image_with_a_value_that_is_no_number_is_refused(bad: float, plant: Plant):
    method = NetworkMethod(plant(RESTORING[0]))
    pixels = image()
    pixels[5, 5] = bad
    with pytest.raises(NonFinitePixels, match="leave this image out"):
        method(pixels)
    with pytest.raises(NonFinitePixels):
        method(np.full((32, 32), bad, np.float32))


def test_the_method_is_pinned_by_its_digest(plant: Plant):
    loaded = plant(RESTORING[0])
    ref = NetworkMethod(loaded).ref
    assert (ref.id, ref.version, ref.weights_sha256) == ("planted", "1.0.0", loaded.card.weights_sha256)


def test_an_output_that_is_no_number_is_refused(plant: Plant):
    loaded = plant(RESTORING[0])
    with torch.no_grad():
        next(loaded.module.parameters()).fill_(float("nan"))
    with pytest.raises(NonFinitePixels, match="planted"):
        NetworkMethod(loaded)(image())
