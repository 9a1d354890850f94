from pathlib import Path

import numpy as np
import pytest
import torch

from model_library.cards.card import NetworkCard
from model_library.errors import NonFinitePixels
from model_library.inference.engine import LoadedNetwork, NetworkMethod, load_network, segment
from model_library.networks.build import build, scale
from model_library.networks.config import (
    EDSRConfig,
    NetworkConfig,
    PSSRUNetConfig,
    ResidualDenoiserConfig,
    UNetConfig,
)
from model_library.networks.facts import facts
from model_library.wire.tasks import Denoise, Segment, SuperResolve
from model_library.zoo.store import save_network

RESTORING: list[NetworkConfig] = [
    UNetConfig(widths=(4, 6, 8)),
    ResidualDenoiserConfig(depth=6, width=4),
    EDSRConfig(blocks=2, width=4, scale=2),
    EDSRConfig(blocks=1, width=4, scale=4),
    PSSRUNetConfig(blocks=(1, 1), width=4, scale=2),
]


def network(folder: Path, config: NetworkConfig, *, seed: int = 0) -> LoadedNetwork:
    torch.manual_seed(seed)
    module = build(config)
    if isinstance(config, UNetConfig) and config.out_channels > 1:
        task: Denoise | Segment | SuperResolve = Segment(classes=("background", "membrane"))
    else:
        task = SuperResolve(scale=scale(config)) if scale(config) > 1 else Denoise()
    card = NetworkCard(
        id="planted", version="1.0.0", purpose="test", task=task, config=config, facts=facts(config),
        weights_sha256="0" * 64,
    )  # fmt: skip
    save_network(folder, module, card)
    return load_network(folder)


def image(shape: tuple[int, int] = (150, 131), seed: int = 3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    return (120 + 40 * np.sin(x / 9) * np.cos(y / 13) + rng.normal(0, 12, shape)).astype(np.float32)


@pytest.mark.parametrize("config", RESTORING, ids=lambda config: f"{config.kind}-x{scale(config)}")
def test_tiles_give_exactly_what_the_whole_image_gives(config: NetworkConfig, tmp_path: Path):
    loaded = network(tmp_path, config)
    pixels = image((260, 231))
    whole = NetworkMethod(loaded, tile_px=4096)(pixels)
    tiled = NetworkMethod(loaded, tile_px=96)(pixels)
    assert whole.shape == (260 * scale(config), 231 * scale(config))
    assert np.abs(tiled - whole).max() <= 2e-5 * whole.std()


def test_segmentation_is_the_same_in_tiles(tmp_path: Path):
    loaded = network(tmp_path, UNetConfig(widths=(4, 6, 8), out_channels=2, residual=False))
    pixels = image()
    whole = segment(pixels, loaded, tile_px=4096)
    assert whole.dtype == np.uint8
    assert set(np.unique(whole)) <= {0, 1}
    assert np.mean(whole != segment(pixels, loaded, tile_px=64)) < 1e-3


def test_a_segmenting_network_is_no_restoring_method(tmp_path: Path):
    loaded = network(tmp_path, UNetConfig(widths=(4, 6), out_channels=2, residual=False))
    with pytest.raises(ValueError, match="segment"):
        NetworkMethod(loaded)


@pytest.mark.parametrize("shape", [(1, 1), (7, 1), (33, 64), (65, 127)])
@pytest.mark.parametrize("config", [RESTORING[0], RESTORING[2], RESTORING[4]], ids=lambda config: config.kind)
def test_any_size_comes_back_at_its_scale(config: NetworkConfig, shape: tuple[int, int], tmp_path: Path):
    restored = NetworkMethod(network(tmp_path, config))(image(shape))
    assert restored.shape == (shape[0] * scale(config), shape[1] * scale(config))
    assert restored.dtype == np.float32


@pytest.mark.parametrize("value", [0.0, 7.0, 65535.0])
def test_a_flat_image_is_restored_without_nonsense(value: float, tmp_path: Path):
    restored = NetworkMethod(network(tmp_path, RESTORING[0]))(np.full((64, 64), value, np.float32))
    assert np.abs(restored - value).max() < 5


def test_grey_values_keep_their_units(tmp_path: Path):
    method = NetworkMethod(network(tmp_path, RESTORING[0]))
    eight_bit = image()
    sixteen_bit = (eight_bit * 200 + 1000).astype(np.float32)
    expected = method(eight_bit) * 200 + 1000
    assert np.abs(method(sixteen_bit) - expected).max() < 1e-3 * expected.std()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_an_image_with_a_value_that_is_no_number_is_refused(bad: float, tmp_path: Path):
    method = NetworkMethod(network(tmp_path, RESTORING[0]))
    pixels = image()
    pixels[5, 5] = bad
    with pytest.raises(NonFinitePixels, match="leave this image out"):
        method(pixels)
    with pytest.raises(NonFinitePixels):
        method(np.full((32, 32), bad, np.float32))


def test_the_method_is_pinned_by_its_digest(tmp_path: Path):
    loaded = network(tmp_path, RESTORING[0])
    ref = NetworkMethod(loaded).ref
    assert (ref.id, ref.version, ref.weights_sha256) == ("planted", "1.0.0", loaded.card.weights_sha256)


def test_an_output_that_is_no_number_is_refused(tmp_path: Path):
    loaded = network(tmp_path, RESTORING[0])
    with torch.no_grad():
        next(loaded.module.parameters()).fill_(float("nan"))
    with pytest.raises(NonFinitePixels, match="planted"):
        NetworkMethod(loaded)(image())
