"""Operators: finite, in range, seeded, and with the statistics that they promise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydantic import TypeAdapter, ValidationError
from scipy import ndimage

from model_library.degradation.operators import (
    BaselineWander,
    Charging,
    Clip,
    Defocus,
    DetectorSpread,
    Digitise,
    Downsample,
    Drift,
    GainOffset,
    GaussianBlur,
    KeepMaximum,
    LocalVarianceNoise,
    Operator,
    Quantise,
    ReadNoise,
    SaltPepper,
    ScanLineJitter,
    ShotNoise,
    Zoom,
)
from model_library.errors import RecipeError

OPERATORS = [
    GaussianBlur(sigma_px=1.3),
    Downsample(scale=2),
    ShotNoise(electrons_per_pixel=20),
    ReadNoise(sigma=0.1),
    LocalVarianceNoise(share=0.05, sigma_px=3),
    SaltPepper(salt=0.01, pepper=0.02),
    ScanLineJitter(sigma_px=0.8),
    Defocus(diameter_px=5.3),
    DetectorSpread(nyquist=0.4, halo_share=0.2),
    Zoom(scale=3),
    Zoom(scale=2, antialias=True),
    Drift(y_px=1.5, x_px=-2.5),
    Charging(share=0.3, sigma=0.2, length_px=10),
    BaselineWander(sigma=0.1, length_px=8),
    GainOffset(gain=0.7, offset=0.1),
    Clip(),
    Quantise(bits=4),
    KeepMaximum(operators=(SaltPepper(salt=0.1, pepper=0), ReadNoise(sigma=0.2))),
    Digitise(bits=8),
]
SHARPNESS = [GaussianBlur(sigma_px=2), Defocus(diameter_px=6), DetectorSpread(nyquist=0.3, halo_share=0.3)]
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
    "operator",
    [
        GaussianBlur(sigma_px=2),
        Defocus(diameter_px=6),
        SaltPepper(salt=0.2, pepper=0.2),
        ScanLineJitter(sigma_px=2),
        Drift(y_px=4, x_px=2),
        Zoom(scale=2),
        Zoom(scale=4, antialias=True),
        Quantise(bits=6),
        Clip(),
    ],
    ids=lambda operator: operator.kind,
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


def test_bounds_are_kept():
    for malformed in (
        lambda: ShotNoise(electrons_per_pixel=0),
        lambda: ReadNoise(sigma=float("nan")),
        lambda: DetectorSpread(nyquist=0),
        lambda: Charging(share=1.5, sigma=0.1, length_px=10),
        lambda: KeepMaximum(operators=()),
    ):
        with pytest.raises(ValidationError):
            malformed()


@pytest.mark.parametrize("operator", OPERATORS, ids=lambda operator: operator.kind)
def test_size_is_kept_save_where_sampling_gets_coarser(operator):
    scale = getattr(operator, "scale", 1)
    result = operator.apply(np.full((25, 38), 0.5, np.float32), np.random.default_rng(0))
    assert result.shape == (25 // scale, 38 // scale)


@pytest.mark.parametrize("operator", SHARPNESS, ids=lambda operator: operator.kind)
@settings(max_examples=25, deadline=None)
@given(pixels=images)
def test_blur_keeps_the_mean_and_a_flat_image(operator, pixels):
    blurred = operator.apply(pixels, np.random.default_rng(0))
    assert blurred.mean(dtype=np.float64) == pytest.approx(pixels.mean(dtype=np.float64), abs=2e-6)
    flat = np.full_like(pixels, 0.25)
    np.testing.assert_allclose(operator.apply(flat, np.random.default_rng(0)), flat, atol=2e-6)


@pytest.mark.parametrize(
    "operator",
    [
        ShotNoise(electrons_per_pixel=5),
        ReadNoise(sigma=0.2),
        LocalVarianceNoise(share=0.1, sigma_px=2),
        Charging(share=0.5, sigma=0.2, length_px=8),
        BaselineWander(sigma=0.1, length_px=5),
        ScanLineJitter(sigma_px=1),
    ],
    ids=lambda operator: operator.kind,
)
def test_noise_keeps_the_mean_on_average(operator):
    pixels = np.full((400, 400), 0.5, np.float32)
    noisy = operator.apply(pixels, np.random.default_rng(0)).astype(np.float64)
    # Rows are independent, pixels of a row need not be.
    error = noisy.mean(axis=1).std() / np.sqrt(len(noisy))
    assert abs(noisy.mean() - 0.5) < 4 * error + 1e-6


def test_defocus_spreads_a_point_over_its_disc():
    point = np.zeros((41, 41), np.float32)
    point[20, 20] = 1
    disc = Defocus(diameter_px=12).apply(point, np.random.default_rng(0))
    y, x = np.indices(point.shape) - 20
    radius = np.hypot(y, x)
    np.testing.assert_allclose(disc[radius < 5], 4 / (np.pi * 144), rtol=0.02)
    assert disc[radius > 7].max() == 0


@pytest.mark.parametrize("frequency", [0.0, 0.1, 0.25, 0.5])
def test_a_detector_passes_each_frequency_as_its_transfer_function_says(frequency):
    spread = DetectorSpread(nyquist=0.3, halo_share=0.2, halo_px=4)
    # Cosines that are mirrored at their borders pass whole.
    wave = np.cos(2 * np.pi * frequency * (np.arange(40) + 0.5)).astype(np.float32)[None].repeat(30, axis=0)
    passed = spread.apply(wave, np.random.default_rng(0))
    share = 0.8 * 0.3 ** (4 * frequency**2) + 0.2 * np.exp(-2 * (4 * np.pi * frequency) ** 2)
    np.testing.assert_allclose(passed, share * wave, atol=1e-5)


def test_zoom_samples_as_the_reference_of_pssr_does():
    pixels = np.random.default_rng(0).random((24, 36), dtype=np.float32)
    coarse = Zoom(scale=4).apply(pixels, np.random.default_rng(0))
    np.testing.assert_array_equal(coarse, ndimage.zoom(pixels, 0.25, order=1))
    assert coarse[0, 0] == pixels[0, 0]
    assert coarse[-1, -1] == pytest.approx(pixels[-1, -1])


def test_antialiased_zoom_is_the_bilinear_filter_of_pillow():
    image = pytest.importorskip("PIL.Image")
    pixels = np.random.default_rng(0).random((24, 36), dtype=np.float32)
    reference = image.fromarray(pixels).resize((9, 6), image.Resampling.BILINEAR)
    coarse = Zoom(scale=4, antialias=True).apply(pixels, np.random.default_rng(0))
    np.testing.assert_allclose(coarse, np.asarray(reference), atol=1e-5)


def test_drift_moves_rows_further_and_further():
    ramp = np.arange(64, dtype=np.float32)[None].repeat(33, axis=0) / 64
    moved = Drift(y_px=0, x_px=8).apply(ramp, np.random.default_rng(0))
    np.testing.assert_allclose((moved - ramp)[:, 5] * 64, np.linspace(0, 8, 33), atol=1e-3)
    np.testing.assert_array_equal(Drift(y_px=0, x_px=0).apply(ramp, np.random.default_rng(0)), ramp)


def test_charging_strikes_a_share_of_the_rows_and_relaxes_along_them():
    flat = np.full((4000, 80), 0.5, np.float32)
    streaks = Charging(share=0.2, sigma=0.1, length_px=5).apply(flat, np.random.default_rng(0)) - flat
    assert (np.abs(streaks).max(axis=1) > 0).mean() == pytest.approx(0.2, abs=0.02)
    row = streaks[np.abs(streaks[:, :40]).max(axis=1).argmax()]
    peak = int(np.abs(row).argmax())
    np.testing.assert_allclose(row[peak + 1 : peak + 6] / row[peak : peak + 5], np.exp(-1 / 5), rtol=1e-3)


def test_a_wandering_baseline_has_its_deviation_and_is_smooth_along_rows_alone():
    flat = np.zeros((600, 300), np.float32)
    wander = BaselineWander(sigma=0.05, length_px=20).apply(flat, np.random.default_rng(0))
    assert wander.std() == pytest.approx(0.05, rel=0.05)
    assert np.diff(wander, axis=1).std() < 0.1 * wander.std()
    assert np.diff(wander, axis=0).std() == pytest.approx(np.sqrt(2) * wander.std(), rel=0.1)


@settings(max_examples=25, deadline=None)
@given(pixels=images, bits=st.sampled_from([4, 8, 12]))
def test_quantising_twice_changes_nothing_and_errs_by_half_a_step(pixels, bits):
    once = Quantise(bits=bits).apply(pixels, np.random.default_rng(0))
    assert np.abs(once - pixels).max() <= 0.501 / (2**bits - 1)
    np.testing.assert_array_equal(Quantise(bits=bits).apply(once, np.random.default_rng(0)), once)


@settings(max_examples=25, deadline=None)
@given(pixels=images, gain=st.floats(0.1, 4), offset=st.floats(-1, 1))
def test_gain_and_offset_are_undone_by_their_inverse(pixels, gain, offset):
    rng = np.random.default_rng(0)
    changed = GainOffset(gain=gain, offset=offset).apply(pixels, rng)
    back = GainOffset(gain=1 / gain, offset=-offset / gain).apply(changed, rng)
    np.testing.assert_allclose(back, pixels, atol=1e-5)


def test_the_maximum_is_restored_after_noise():
    pixels = 0.6 * np.random.default_rng(0).random((40, 50), dtype=np.float32)
    noisy = KeepMaximum(operators=(SaltPepper(salt=0.01, pepper=0),)).apply(pixels, np.random.default_rng(0))
    assert noisy.max() == pytest.approx(pixels.max())
    assert np.median(noisy) == pytest.approx(0.6 * np.median(pixels), rel=0.04)


def test_lengths_on_the_specimen_need_a_pixel_size():
    pixels = np.random.default_rng(0).random((20, 30), dtype=np.float32)
    for operator in (Defocus(diameter_nm=12), Drift(y_nm=5, x_nm=2)):
        with pytest.raises(RecipeError, match="at_pixel_size"):
            operator.apply(pixels, np.random.default_rng(0))
    assert Defocus(diameter_nm=12).at_pixel_size(3) == Defocus(diameter_px=4)
    assert Drift(y_nm=6, x_nm=3).at_pixel_size(3) == Drift(y_px=2, x_px=1)
    for malformed in (
        lambda: Defocus(),
        lambda: Defocus(diameter_px=1, diameter_nm=1),
        lambda: Drift(y_px=1),
        lambda: Drift(y_px=1, x_px=1, y_nm=1, x_nm=1),
    ):
        with pytest.raises(RecipeError):
            malformed()
