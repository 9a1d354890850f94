"""Counts to units and back; float32 to the dtype of a file."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from model_library.errors import NonFinitePixels, UnsupportedImage
from model_library.images.intensity import Scaling, to_dtype

COUNTS = arrays.arrays(np.uint16, arrays.array_shapes(min_dims=2, max_dims=2, max_side=20))


@settings(derandomize=True, deadline=None)
@given(COUNTS)
def test_inverting_what_was_applied_restores_the_counts(counts):
    scaling = Scaling.of(counts)
    grey = counts.astype(np.float32)
    assert scaling.gain > 0
    restored = scaling.invert(scaling.apply(grey))
    assert np.array_equal(to_dtype(restored, np.uint16), counts)


@settings(derandomize=True, deadline=None)
@given(COUNTS, st.floats(0.5, 4), st.floats(-100, 100))
def test_units_do_not_depend_on_the_brightness_and_contrast_of_the_instrument(counts, gain, offset):
    grey = counts.astype(np.float32)
    other = (grey * np.float32(gain) + np.float32(offset)).astype(np.float32)
    if np.ptp(grey):
        expected = Scaling.of(grey).apply(grey)
        assert np.allclose(Scaling.of(other).apply(other), expected, rtol=1e-3, atol=0.02)


def test_percentiles_1_and_99_become_0_and_1():
    scaling = Scaling.of(np.arange(101, dtype=np.float32).reshape(1, 101))
    assert (scaling.offset, scaling.gain) == pytest.approx((1.0, 98.0))


def test_flat_images_scale_to_zero_and_keep_their_counts():
    flat = np.full((8, 8), 300, np.float32)
    scaling = Scaling.of(flat)
    assert not scaling.apply(flat).any()
    assert np.array_equal(scaling.invert(scaling.apply(flat)), flat)


def test_integers_are_rounded_and_clipped():
    pixels = np.array([[-5.0, 0.5, 1.5, 254.6, 1e9]], np.float32)
    assert to_dtype(pixels, np.uint8).tolist() == [[0, 0, 2, 255, 255]]
    assert to_dtype(pixels, np.uint16).tolist() == [[0, 0, 2, 255, 65535]]


def test_float32_passes_bit_for_bit():
    pixels = np.random.default_rng(1).normal(size=(5, 7)).astype(np.float32)
    assert np.array_equal(to_dtype(pixels, np.float32), pixels)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_value_that_is_not_finite_is_refused_not_cast(bad, dtype):
    pixels = np.ones((4, 4), np.float32)
    pixels[1, 2] = bad
    with pytest.raises(NonFinitePixels, match="found 1 of 16"):
        to_dtype(pixels, dtype)


def test_other_dtypes_are_refused():
    with pytest.raises(UnsupportedImage, match="float64"):
        to_dtype(np.ones((2, 2), np.float32), np.float64)
    with pytest.raises(NonFinitePixels):
        Scaling.of(np.full((2, 2), np.nan, np.float32))
