"""Operators and recipes: finite, in range, seeded, and with the statistics that they promise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydantic import TypeAdapter, ValidationError
from scipy import ndimage

from model_library.degradation.operators import (
    Digitise,
    Downsample,
    GaussianBlur,
    LocalVarianceNoise,
    Operator,
    ReadNoise,
    SaltPepper,
    ScanLineJitter,
    ShotNoise,
)
from model_library.degradation.recipe import RECIPES, Recipe, recipe
from model_library.errors import RecipeError

OPERATORS = [
    GaussianBlur(sigma_px=1.3),
    Downsample(scale=2),
    ShotNoise(electrons_per_pixel=20),
    ReadNoise(sigma=0.1),
    LocalVarianceNoise(share=0.05, sigma_px=3),
    SaltPepper(salt=0.01, pepper=0.02),
    ScanLineJitter(sigma_px=0.8),
    Digitise(bits=8),
]
images = arrays(
    np.float32,
    st.tuples(st.integers(4, 40), st.integers(4, 40)),
    elements=st.floats(0, 1, width=32),
)


@pytest.mark.parametrize("operator", OPERATORS, ids=lambda operator: operator.kind)
@settings(max_examples=25, deadline=None)
@given(pixels=images, seed=st.integers(0, 2**32 - 1))
def test_stays_finite_float32_and_repeats_with_the_seed(operator, pixels, seed):
    before = pixels.copy()
    first, second = (operator.apply(pixels, np.random.default_rng(seed)) for _ in range(2))
    assert first.dtype == np.float32
    assert np.isfinite(first).all()
    assert first.tobytes() == second.tobytes()
    np.testing.assert_array_equal(pixels, before)


@pytest.mark.parametrize("operator", OPERATORS, ids=lambda operator: operator.kind)
def test_survives_a_round_trip_through_json(operator):
    adapter = TypeAdapter(Operator)
    assert adapter.validate_json(adapter.dump_json(operator)) == operator


@pytest.mark.parametrize(
    "operator", [GaussianBlur(sigma_px=2), SaltPepper(salt=0.2, pepper=0.2), ScanLineJitter(sigma_px=2)]
)
@settings(max_examples=25, deadline=None)
@given(pixels=images)
def test_effects_that_add_no_noise_stay_in_range(operator, pixels):
    result = operator.apply(pixels, np.random.default_rng(0))
    assert pixels.min(initial=0) - 1e-5 <= result.min() <= result.max() <= max(pixels.max(), 1) + 1e-5


@settings(max_examples=40, deadline=None)
@given(pixels=images, bits=st.sampled_from([8, 12, 16]), gain=st.floats(1, 1e5), offset=st.floats(-100, 100))
def test_digitising_ends_in_whole_counts_within_the_bits(pixels, bits, gain, offset):
    counts = Digitise(bits=bits, gain=gain, offset=offset).apply(pixels, np.random.default_rng(0))
    assert counts.min() >= 0
    assert counts.max() <= 2**bits - 1
    np.testing.assert_array_equal(counts, np.rint(counts))


def test_downsampling_keeps_the_mean_of_every_block():
    pixels = np.arange(48, dtype=np.float32).reshape(6, 8)
    coarse = Downsample(scale=2).apply(pixels, np.random.default_rng(0))
    assert coarse.shape == (3, 4)
    assert coarse[0, 0] == pixels[:2, :2].mean()
    assert Downsample(scale=4).apply(pixels, np.random.default_rng(0)).shape == (1, 2)


def test_downsampling_an_image_smaller_than_a_block_is_refused():
    with pytest.raises(RecipeError, match="at least 4 x 4"):
        Downsample(scale=4).apply(np.zeros((3, 9), np.float32), np.random.default_rng(0))


def test_shot_noise_has_the_variance_of_counted_electrons():
    pixels = np.full((400, 400), 0.5, np.float32)
    noisy = ShotNoise(electrons_per_pixel=20).apply(pixels, np.random.default_rng(0))
    assert noisy.mean() == pytest.approx(0.5, rel=0.01)
    assert noisy.var() == pytest.approx(0.5 / 20, rel=0.03)


def test_local_variance_noise_is_as_published_for_pssr_v1():
    pixels = np.repeat(np.linspace(0.1, 0.9, 8, dtype=np.float32), 100)[None].repeat(600, axis=0)
    noise = LocalVarianceNoise(share=0.05, sigma_px=3).apply(pixels, np.random.default_rng(1)) - pixels
    expected = 0.05 * ndimage.gaussian_filter(pixels, 3)[0]
    np.testing.assert_allclose(
        noise.var(axis=0).reshape(8, 100).mean(1), expected.reshape(8, 100).mean(1), rtol=0.03
    )


def test_salt_and_pepper_hit_their_shares_of_pixels():
    noisy = SaltPepper(salt=0.01, pepper=0.03).apply(
        np.full((500, 500), 0.5, np.float32), np.random.default_rng(0)
    )
    assert (noisy == 1).mean() == pytest.approx(0.01, rel=0.1)
    assert (noisy == 0).mean() == pytest.approx(0.03, rel=0.1)


def test_scan_line_jitter_moves_whole_rows():
    ramp = np.arange(64, dtype=np.float32)[None].repeat(50, axis=0) / 64
    moved = ScanLineJitter(sigma_px=1.5).apply(ramp, np.random.default_rng(0))
    shift = (moved - ramp)[:, 8:-8] * 64
    assert np.ptp(shift, axis=1).max() < 1e-3
    assert shift[:, 0].std() == pytest.approx(1.5, rel=0.25)


@pytest.mark.parametrize("name", RECIPES)
def test_named_recipes_acquire_whole_counts_at_their_scale_and_repeat(name):
    intensity = np.random.default_rng(0).random((64, 80), dtype=np.float32)
    chosen = recipe(name)
    first, second = (chosen.apply(intensity, np.random.default_rng(5)) for _ in range(2))
    assert first.shape == (64 // chosen.scale, 80 // chosen.scale)
    assert first.tobytes() == second.tobytes()
    assert first.tobytes() != chosen.apply(intensity, np.random.default_rng(6)).tobytes()
    np.testing.assert_array_equal(first, np.rint(first))
    assert Recipe.model_validate_json(chosen.model_dump_json()) == chosen


def test_refusals_name_the_remedy():
    with pytest.raises(RecipeError, match="move it to the end"):
        Recipe(operators=(Digitise(), ReadNoise(sigma=0.1)))
    with pytest.raises(RecipeError, match="low_dose"):
        recipe("no such recipe")
    with pytest.raises(ValidationError):
        ShotNoise(electrons_per_pixel=0)
    with pytest.raises(ValidationError):
        ReadNoise(sigma=float("nan"))
