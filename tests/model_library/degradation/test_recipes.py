"""Recipes: composed, seeded, written down and read back; the published ones as they were published."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from model_library.degradation.named import named_recipes, recipe
from model_library.degradation.operators import (
    Clip,
    Defocus,
    Digitise,
    Downsample,
    Drift,
    GainOffset,
    GaussianBlur,
    ReadNoise,
    ShotNoise,
    Zoom,
)
from model_library.degradation.recipe import Recipe
from model_library.degradation.recipe_files import as_toml, read_recipe_file, write_recipe_file
from model_library.errors import RecipeError

NAMES = sorted(named_recipes())
OPERATORS = st.sampled_from(
    [
        GaussianBlur(sigma_px=0.8),
        ShotNoise(electrons_per_pixel=20),
        ReadNoise(sigma=0.05),
        Downsample(scale=2),
        Zoom(scale=2),
        GainOffset(gain=0.5, offset=0.2),
        Drift(y_px=0.5, x_px=1),
        Clip(),
    ]
)
recipes = st.lists(OPERATORS, min_size=1, max_size=3).map(lambda chosen: Recipe(operators=tuple(chosen)))


@pytest.mark.parametrize("name", NAMES)
def test_named_recipes_acquire_whole_counts_at_their_scale_and_repeat(name):
    intensity = np.random.default_rng(0).random((64, 80), dtype=np.float32)
    chosen = recipe(name)
    first, second = (chosen.apply(intensity, np.random.default_rng(5)) for _ in range(2))
    assert first.shape == (64 // chosen.scale, 80 // chosen.scale)
    assert first.tobytes() == second.tobytes()
    assert name == "pssr2-blur" or (
        first.tobytes() != chosen.apply(intensity, np.random.default_rng(6)).tobytes()
    )
    np.testing.assert_array_equal(first, np.rint(first))


@pytest.mark.parametrize("suffix", [".toml", ".json"])
@pytest.mark.parametrize("name", NAMES)
def test_named_recipes_survive_being_written_down(name, suffix, tmp_path):
    path = tmp_path / f"recipe{suffix}"
    write_recipe_file(path, recipe(name), remarks=("measured on a Tuesday",))
    assert read_recipe_file(path) == recipe(name)


def test_remarks_stand_above_the_recipe_in_toml():
    text = as_toml(Recipe(operators=(Digitise(bits=12),)), ("two images",))
    assert text.startswith("# two images\n\n[[operators]]\n")


@pytest.mark.parametrize(
    "text", ["operators = []", "[[operators]]\nkind = 'cosmic_rays'", "operators = [", "\x00"]
)
def test_a_file_that_holds_no_recipe_is_refused_by_name(text, tmp_path):
    path = tmp_path / "broken.toml"
    path.write_text(text)
    with pytest.raises(RecipeError, match="broken"):
        read_recipe_file(path)
    with pytest.raises(RecipeError, match="absent"):
        read_recipe_file(tmp_path / "absent.json")


@settings(max_examples=30, deadline=None)
@given(first=recipes, second=recipes, seed=st.integers(0, 2**32 - 1))
def test_a_recipe_behind_another_is_the_two_in_turn(first, second, seed):
    pixels = np.random.default_rng(1).random((72, 68), dtype=np.float32)
    both = first.then(second)
    rng = np.random.default_rng(seed)
    in_turn = second.apply(first.apply(pixels, rng), rng)
    assert both.apply(pixels, np.random.default_rng(seed)).tobytes() == in_turn.tobytes()
    assert both.scale == first.scale * second.scale


def test_lengths_on_the_specimen_become_pixels_of_the_sampling_that_they_stand_at():
    physical = Recipe(
        operators=(Defocus(diameter_nm=12), Downsample(scale=2), Drift(y_nm=12, x_nm=0), ReadNoise(sigma=0.1))
    )
    expected = (Defocus(diameter_px=4), Downsample(scale=2), Drift(y_px=2, x_px=0), ReadNoise(sigma=0.1))
    assert physical.at_pixel_size(3).operators == expected
    with pytest.raises(RecipeError, match="above 0 nm"):
        physical.at_pixel_size(0)


def test_pssr_em_has_the_published_noise_at_a_quarter_of_the_sampling():
    step = np.repeat(np.array([0.3, 0.6], np.float32), 400)[None].repeat(800, axis=0)
    coarse = recipe("pssr-em").apply(step, np.random.default_rng(0))
    assert coarse.shape == (200, 200)
    for columns, level in ((slice(8, 92), 0.3), (slice(108, 192), 0.6)):
        noise = np.sqrt(0.05 * level)
        # Linear interpolation between neighbours at shifting places keeps (2/3)^2 of the variance.
        found = coarse[:, columns].std() / 255
        assert found == pytest.approx(2 / 3 * noise, rel=0.05)
        assert coarse[:, columns].mean() / 255 == pytest.approx(level, abs=0.02)


def test_pssr_fluorescence_restores_the_maximum_before_it_samples():
    dim = 0.5 * ndimage.gaussian_filter(np.random.default_rng(0).random((400, 400)), 3).astype(np.float32)
    coarse = recipe("pssr-fluorescence").apply(dim, np.random.default_rng(0))
    assert coarse.shape == (100, 100)
    assert coarse.max() <= 255 * dim.max() + 0.5


@pytest.mark.parametrize(
    ("name", "deviation"),
    [
        ("pssr2-poisson", np.sqrt(0.5 * 255)),
        ("pssr2-gaussian", 13.0),
        ("pssr2", np.sqrt(0.5 * 255 + 13**2 + 0.005 * 127.5**2)),
        ("pssr2-salt-pepper", np.sqrt(0.005 * 127.5**2)),
    ],
)
def test_pssr2_has_the_published_noise_in_grey_values_of_255(name, deviation):
    coarse = recipe(name).apply(np.full((800, 800), 0.5, np.float32), np.random.default_rng(0))
    assert coarse.shape == (200, 200)
    assert coarse.std() == pytest.approx(deviation, rel=0.05)
    assert coarse.mean() == pytest.approx(127.5, abs=0.6)


def test_refusals_name_the_remedy():
    with pytest.raises(RecipeError, match="move it to the end"):
        Recipe(operators=(Digitise(), ReadNoise(sigma=0.1)))
    with pytest.raises(RecipeError, match="sem-low-dose"):
        recipe("no such recipe")


def test_the_documentation_shows_every_named_recipe():
    text = (Path(__file__).parents[3] / "docs" / "degradation.md").read_text(encoding="utf-8")
    assert [name for name in NAMES if f"`{name}`" not in text] == []
