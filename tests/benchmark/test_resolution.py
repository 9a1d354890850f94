"""Ring correlation finds planted cut-offs, and one image says what two do."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from typer.testing import CliRunner

from benchmark.cli import app
from benchmark.errors import BenchmarkError
from benchmark.metrics import frc_resolution, frc_resolution_single
from benchmark.metrics.resolution import crossing, half_bit, ring_correlation
from benchmark.resolving import resolve
from model_library.images.frame import Frame
from model_library.images.writers import encode_acquisition

SIDE = 256


def repeats(spectrum_of, seed, noise, side=SIDE):
    """Two acquisitions of one random specimen, whose Fourier amplitudes are a function of frequency."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    white = np.fft.rfft2(rng.standard_normal((side, side)))
    specimen = np.fft.irfft2(white * spectrum_of(frequency), (side, side))
    specimen /= specimen.std()
    return [specimen + noise * rng.standard_normal((side, side)) for _ in "ab"]


@pytest.mark.parametrize("cut_off", [0.1, 0.2, 0.3, 0.4])
@pytest.mark.parametrize("noise", [0.1, 0.3, 1.0])
def test_two_images_tell_the_planted_cut_off(cut_off, noise):
    for seed in range(3):
        a, b = repeats(lambda frequency: frequency <= cut_off, seed, noise, side=512)
        assert 1 / frc_resolution(a, b) == pytest.approx(cut_off, abs=0.01)


@pytest.mark.parametrize("sigma_px", [2.0, 3.0, 4.0])
def test_one_image_tells_what_two_do_where_detail_is_coarser_than_four_pixels(sigma_px):
    a, b = repeats(lambda frequency: 1 / np.maximum(frequency, 1 / SIDE), 5, 0.0)
    rng = np.random.default_rng(7)
    a, b = (gaussian_filter(each, sigma_px) + 0.1 * rng.standard_normal(each.shape) for each in (a, b))
    assert frc_resolution_single(a) == pytest.approx(frc_resolution(a, b), rel=0.2)


@given(gain=st.floats(0.1, 10), offset=st.floats(-100, 100), seed=st.integers(0, 9))
def test_gain_and_offset_do_not_change_the_correlation(gain, offset, seed):
    a, b = repeats(lambda frequency: frequency < 0.2, seed, 0.5)
    expected = ring_correlation(a, b).correlation
    assert np.abs(ring_correlation(gain * a + offset, b).correlation - expected).max() < 1e-6


def test_equal_images_agree_down_to_the_pixel_and_noise_agrees_nowhere():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, SIDE, SIDE))
    assert frc_resolution(a, a) == 2.0
    assert frc_resolution(a, b) > SIDE / 8
    assert ring_correlation(a, a).correlation == pytest.approx(1.0)


def test_the_rings_hold_every_coefficient_once():
    rings = ring_correlation(*repeats(lambda frequency: frequency < 0.2, 0, 0.5))
    frequency = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.fftfreq(SIDE)[None]) * SIDE
    inside = np.rint(frequency)
    assert rings.samples.sum() == ((inside > 0) & (inside <= SIDE // 2)).sum()
    assert rings.samples[9] == (inside == 10).sum()


def test_the_half_bit_threshold_is_that_of_its_authors():
    assert half_bit(np.array([1e12]))[0] == pytest.approx(0.2071 / 1.2071, abs=1e-5)
    a, b = repeats(lambda frequency: frequency < 0.2, 0, 0.5)
    rings = ring_correlation(a, b)
    assert crossing(rings, half_bit(rings.samples)) == pytest.approx(0.2, abs=0.012)


def test_of_an_oblong_the_middle_square_counts_and_small_images_are_refused():
    a, b = repeats(lambda frequency: frequency < 0.2, 0, 0.5)
    wide = [np.pad(each, ((0, 0), (40, 40))) for each in (a, b)]
    assert frc_resolution(*wide) == frc_resolution(a, b)
    with pytest.raises(ValueError, match="32 px a side"):
        frc_resolution(a[:20], b[:20])


@pytest.fixture
def acquisitions(tmp_path):
    frames = repeats(lambda frequency: frequency <= 0.2, 3, 0.5)
    for name, pixels in zip("ab", frames, strict=True):
        stored = np.rint(2000 + 300 * pixels).astype(np.uint16)
        (tmp_path / f"{name}.tif").write_bytes(encode_acquisition(Frame(stored, pixel_size_nm=3.0)))
    return tmp_path / "a.tif", tmp_path / "b.tif"


def test_files_are_resolved_in_pixels_and_nanometres(acquisitions):
    first, second = acquisitions
    done = CliRunner().invoke(app, ["resolution", str(first), str(second), "--json"])
    found = json.loads(done.output)
    assert found["period_px"] == pytest.approx(5.0, abs=0.3)
    assert found["period_nm"] == pytest.approx(3 * found["period_px"])
    assert resolve(first, second, by_half_bit=True).period_px == pytest.approx(5.0, abs=0.3)
    assert "checkerboard" in resolve(first, None).how
    assert "px = " in CliRunner().invoke(app, ["resolution", str(first)]).output


def test_files_that_do_not_fit_are_refused(acquisitions, tmp_path):
    first, _ = acquisitions
    (tmp_path / "small.tif").write_bytes(encode_acquisition(Frame(np.ones((80, 80), np.uint8))))
    (tmp_path / "tiny.tif").write_bytes(encode_acquisition(Frame(np.ones((8, 80), np.uint8))))
    with pytest.raises(BenchmarkError, match="one shape"):
        resolve(first, tmp_path / "small.tif")
    with pytest.raises(BenchmarkError, match="larger image"):
        resolve(tmp_path / "tiny.tif", None)
    with pytest.raises(BenchmarkError, match="two acquisitions"):
        resolve(first, None, by_half_bit=True)
