"""Pixels that do not fit a network are resampled or refused, and the decision is told."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_library.errors import UnfitPixelSize
from model_library.images.pixel_fit import fit_pixels, refuse_unfit, resample

RANGE = (4.0, 10.0)
SIZES = st.floats(0.01, 1000)


@pytest.mark.parametrize(
    ("found", "wanted", "policy", "action", "factor"),
    [
        (5.0, RANGE, "resample", "as_is", 1),
        (4.0, RANGE, "refuse", "as_is", 1),
        (4.0 / 1.1, RANGE, "refuse", "as_is", 1),
        (11.0, RANGE, "refuse", "as_is", 1),
        (11.1, RANGE, "refuse", "refuse", 1),
        (11.1, RANGE, "ignore", "as_is", 1),
        (11.1, RANGE, "resample", "resample", 1.11),
        (20.0, RANGE, "resample", "resample", 2),
        (20.1, RANGE, "resample", "refuse", 1),
        (2.0, RANGE, "resample", "resample", 0.5),
        (1.99, RANGE, "resample", "refuse", 1),
        (1.0, RANGE, "ignore", "as_is", 1),
        (8.0, (5.0, 5.0), "resample", "resample", 1.6),
        (None, RANGE, "refuse", "as_is", 1),
        (5.0, None, "refuse", "as_is", 1),
        (None, None, "resample", "as_is", 1),
    ],
)
def test_decisions(found, wanted, policy, action, factor):
    fit = fit_pixels(found, wanted, policy)
    assert fit.action == action
    assert fit.factor == pytest.approx(factor)
    assert json.loads(json.dumps(fit.as_provenance()))["action"] == action


@settings(derandomize=True, deadline=None)
@given(SIZES, SIZES, SIZES)
def test_what_was_resampled_fits_and_what_fits_is_left_alone(found, one, other):
    wanted = min(one, other), max(one, other)
    fit = fit_pixels(found, wanted)
    again = fit_pixels(fit.fitted_nm, wanted, "refuse")
    assert (again.action == "as_is") == (fit.action != "refuse")
    assert (fit.factor != 1) == (fit.action == "resample")


def test_words_name_both_sizes_and_what_was_done():
    assert fit_pixels(20.0, RANGE).words == "resampled by 2: pixels of 20 nm, network made for 4 to 10 nm"
    assert fit_pixels(None, RANGE).words == "unknown: the frame states no pixel size"
    assert fit_pixels(5.0, None).words == "unknown: the method states no pixel size"


def test_a_refusal_names_file_sizes_and_remedy():
    refuse_unfit(fit_pixels(5.0, RANGE), "a.tif")
    with pytest.raises(UnfitPixelSize, match=r"a\.tif: expected pixels of 4 to 10 nm, found 50 nm; choose"):
        refuse_unfit(fit_pixels(50.0, RANGE), "a.tif")


def waves(side, nm, period_nm=400.0):
    """A pattern sampled at pixel centres."""
    places = (np.arange(side) + 0.5) * nm
    wave = np.sin(2 * np.pi * places / period_nm)
    return (1000 + 100 * wave[:, None] * wave[None, :]).astype(np.float32)


@pytest.mark.parametrize("factor", [0.5, 0.7, 1.25, 1.5, 2.0])
def test_the_specimen_stays_where_it_is(factor):
    nm = 10.0
    found = resample(waves(160, nm), factor)
    expected = waves(found.shape[0], nm / factor)
    assert found.dtype == np.float32
    assert found.shape == (round(160 * factor),) * 2
    assert np.abs(found - expected)[8:-8, 8:-8].max() < 4


def test_detail_that_the_coarser_grid_cannot_carry_vanishes_instead_of_aliasing():
    fine = np.indices((128, 128)).sum(axis=0) % 2 * 100.0
    thinned = resample(fine.astype(np.float32), 0.6)
    assert thinned.std() < 0.35 * fine.std()


@settings(derandomize=True, deadline=None, max_examples=40)
@given(st.integers(1, 40), st.integers(1, 40), st.floats(0.5, 2), st.floats(-1e4, 1e4))
def test_flat_images_stay_flat_at_every_size(rows, columns, factor, level):
    found = resample(np.full((rows, columns), level, np.float32), factor)
    assert found.shape == (max(1, round(rows * factor)), max(1, round(columns * factor)))
    assert np.allclose(found, level, rtol=1e-5, atol=1e-3)


def test_a_factor_of_one_changes_nothing():
    pixels = np.random.default_rng(1).normal(size=(9, 7)).astype(np.float32)
    assert np.array_equal(resample(pixels, 1.0), pixels)
