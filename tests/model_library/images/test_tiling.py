"""Tiles: cores partition the image, windows stay inside it, and halos are honoured."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_library.images.tiling import plan_tiles

GEOMETRY = st.tuples(
    st.integers(1, 70), st.integers(1, 70), st.integers(0, 9), st.integers(1, 8), st.integers(0, 20)
)


@settings(derandomize=True, deadline=None, max_examples=300)
@given(GEOMETRY)
def test_merging_the_cores_of_split_windows_restores_the_image(geometry):
    height, width, halo, stride, room = geometry
    image = np.random.default_rng(0).random((height, width))
    merged = np.full_like(image, np.nan)
    written = np.zeros(image.shape, int)
    for tile in plan_tiles((height, width), 2 * halo + stride + room, halo, stride):
        merged[tile.core] = image[tile.window][tile.inner]
        written[tile.core] += 1
    assert (written == 1).all()
    assert np.array_equal(merged, image)


@settings(derandomize=True, deadline=None, max_examples=300)
@given(GEOMETRY)
def test_windows_start_on_the_stride_keep_the_halo_and_are_equal_but_for_a_rest(geometry):
    height, width, halo, stride, room = geometry
    side = 2 * halo + stride + room
    for tile in plan_tiles((height, width), side, halo, stride):
        for core, window, length in zip(tile.core, tile.window, (height, width), strict=True):
            assert 0 <= window.start <= core.start < core.stop <= window.stop <= length
            assert window.start % stride == 0
            assert window.start == 0 or core.start - window.start >= halo
            assert window.stop == length or window.stop - core.stop >= halo
            extent = window.stop - window.start
            assert extent == length if length <= side else side <= extent < side + stride


@settings(derandomize=True, deadline=None, max_examples=100)
@given(GEOMETRY, st.integers(2, 4))
def test_scaled_tiles_merge_to_an_enlarged_image(geometry, scale):
    height, width, halo, stride, room = geometry
    image = np.random.default_rng(0).random((height, width))
    merged = np.full((height * scale, width * scale), np.nan)
    for tile in plan_tiles((height, width), 2 * halo + stride + room, halo, stride):
        large = tile.scaled(scale)
        merged[large.core] = np.kron(image[tile.window], np.ones((scale, scale)))[large.inner]
    assert np.array_equal(merged, np.kron(image, np.ones((scale, scale))))


def test_a_small_image_is_one_window():
    (tile,) = plan_tiles((20, 30), tile=64, halo=8, stride=4)
    assert tile.core == tile.window == tile.inner == (slice(0, 20), slice(0, 30))


@pytest.mark.parametrize(
    ("shape", "tile", "halo", "stride"), [((64, 64), 16, 8, 1), ((64, 64), 16, 6, 8), ((0, 64), 16, 2, 1)]
)
def test_a_halo_that_leaves_no_core_is_refused(shape, tile, halo, stride):
    with pytest.raises(ValueError, match="enlarge the tile"):
        plan_tiles(shape, tile, halo, stride)
