from collections.abc import Callable

import numpy as np
import pytest

from model_library.errors import NonFinitePixels, UnsupportedImage
from model_library.images.intensity import Scaling
from model_library.inference.engine import LoadedNetwork, NetworkMethod, restore, segment
from model_library.inference.stacks import restore_rgb, restore_stack, segment_stack
from model_library.networks.config import EDSRConfig, ResidualDenoiserConfig, UNetConfig

RGB = {"in_channels": 3, "channels": "rgb"}
SLICES = {"in_channels": 3, "channels": "slices"}
Plant = Callable[..., LoadedNetwork]


def stack(depth: int = 4, shape: tuple[int, int] = (37, 50)) -> np.ndarray:
    rng = np.random.default_rng(1)
    return (100 + 20 * np.arange(depth)[:, None, None] + rng.normal(0, 9, (depth, *shape))).astype(np.float32)


def test_each_slice_is_restored_with_its_neighbours_on_the_scale_of_the_stack(plant: Plant):
    loaded, pixels = plant(UNetConfig(widths=(4, 6), **SLICES)), stack()
    restored = restore_stack(pixels, loaded)
    assert restored.shape == pixels.shape
    assert restored.dtype == np.float32
    neighbours = [[0, 0, 1], [0, 1, 2], [1, 2, 3], [2, 3, 3]]
    for z, chosen in enumerate(neighbours):
        expected = restore(pixels[chosen], loaded, scaling=Scaling.of(pixels))
        assert np.array_equal(restored[z], expected[0])


def test_a_stack_is_super_resolved_slice_by_slice(plant: Plant):
    loaded = plant(EDSRConfig(blocks=1, width=4, scale=2, **SLICES))
    assert restore_stack(stack(), loaded).shape == (4, 74, 100)


def test_a_network_of_single_slices_serves_a_stack_too(plant: Plant):
    loaded, pixels = plant(ResidualDenoiserConfig(depth=4, width=4)), stack(1)
    assert np.array_equal(restore_stack(pixels, loaded)[0], NetworkMethod(loaded)(pixels[0]))


def test_each_pixel_of_a_stack_has_a_class(plant: Plant):
    loaded, pixels = plant(UNetConfig(widths=(4, 6), out_channels=2, residual=False, **SLICES)), stack()
    labels = segment_stack(pixels, loaded)
    assert (labels.shape, labels.dtype) == (pixels.shape, np.uint8)
    assert np.array_equal(labels[1], segment(pixels[:3], loaded, scaling=Scaling.of(pixels)))


def test_tiles_and_self_ensembles_serve_stacks(plant: Plant):
    loaded, pixels = plant(UNetConfig(widths=(4, 6), **SLICES)), stack(2, (150, 90))
    whole = restore_stack(pixels, loaded, self_ensemble=True)
    assert np.array_equal(restore_stack(pixels, loaded, tile_px=48, self_ensemble=True), whole)
    assert not np.array_equal(restore_stack(pixels, loaded), whole)


def test_colour_is_restored_on_one_scale(plant: Plant):
    loaded = plant(UNetConfig(widths=(4, 6), out_channels=3, **RGB))
    pixels = np.moveaxis(stack(3), 0, -1)
    restored = restore_rgb(pixels, loaded)
    assert restored.shape == (37, 50, 3)
    expected = restore(stack(3), loaded)
    assert np.array_equal(restored, np.moveaxis(expected, 0, -1))
    # A fresh network hardly changes an image, so colours must stay apart.
    assert np.abs(restored.mean(axis=(0, 1)) - pixels.mean(axis=(0, 1))).max() < 5


def test_what_a_network_is_not_for_is_refused(plant: Plant):
    grey = plant(ResidualDenoiserConfig(depth=3, width=4))
    with pytest.raises(UnsupportedImage, match="expected a network of rgb"):
        restore_rgb(np.moveaxis(stack(3), 0, -1), grey)
    with pytest.raises(UnsupportedImage, match=r"expected a stack \[Z, Y, X\]"):
        restore_stack(stack()[0], grey)
    with pytest.raises(UnsupportedImage, match="with slices"):
        restore_stack(stack()[:0], grey)
    colour = plant(ResidualDenoiserConfig(depth=3, width=4, **RGB))
    with pytest.raises(UnsupportedImage, match="expected a network of grey or slices"):
        restore_stack(stack(3), colour)
    with pytest.raises(UnsupportedImage, match=r"expected a colour image \[Y, X, 3\]"):
        restore_rgb(stack(3), colour)


@pytest.mark.parametrize("act", [restore_stack, segment_stack])
def test_a_stack_with_a_value_that_is_no_number_is_refused(act, plant: Plant):
    pixels = stack()
    pixels[2, 3, 4] = np.nan
    with pytest.raises(NonFinitePixels, match="stack: expected finite"):
        act(pixels, plant(UNetConfig(widths=(4, 6), **SLICES)))
