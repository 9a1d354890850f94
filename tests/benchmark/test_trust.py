"""Trust checks: planted failures are told, each by its own check; honest smoothers pass them all."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter, maximum_filter

from benchmark.baselines import classical
from benchmark.cases import Case, Labels, repeat_cases
from benchmark.errors import BenchmarkError, UnusableResult
from benchmark.trust.bands import SIZES_PX, contrast
from benchmark.trust.calibration import Restored, acquired_again, calibrated, coverage, restored
from benchmark.trust.checks import Specimen, check
from benchmark.trust.contradiction import contradictions
from benchmark.trust.findings import Check, TrustLimits, failed
from benchmark.trust.forward import residual
from benchmark.trust.invention import CONTRAST_MARGIN_PX, blank_field, invention, noise_only
from benchmark.trust.of_cases import check_cases
from benchmark.trust.planting import kept
from model_library.degradation.noise import NoiseModel
from model_library.inference.uncertainty import Calibration, spread_of
from model_library.wire.methods import ClassicalRef
from model_library.wire.tasks import Denoise, Segment, SuperResolve

NOISE = NoiseModel(gain=0.0, read_variance=225.0)
SEGMENT = Segment(classes=("background", "particle"))
TV = classical(ClassicalRef(id="tv"), Denoise())


def truth(seed, side=160):
    rng = np.random.default_rng(seed)
    x = np.arange(side, dtype=np.float32)[None]
    field = gaussian_filter(rng.standard_normal((side, side)), 6, mode="wrap")
    return (140 + 50 * np.sin(x / rng.uniform(12, 20)) + 60 * (field > 0.3 * field.std())).astype(np.float32)


def acquired(seed, side=160):
    rng = np.random.default_rng([seed, 1])
    return (truth(seed, side) + rng.normal(0, 15, (side, side))).astype(np.float32)


IMAGES = tuple(acquired(seed) for seed in range(3))
SPECIMEN = Specimen(IMAGES, NOISE, Denoise())


class Method:
    """A restoring method in all but the layers: some function of the image."""

    scale = 1
    ref = ClassicalRef(id="planted")

    def __init__(self, restore):
        self._restore = restore

    def __call__(self, pixels):
        return self._restore(pixels).astype(np.float32)


def draws_blobs(pixels):
    """Turn every maximum of the smoothed noise into a round particle, as a network in a bad mood does."""
    smooth = gaussian_filter(pixels, 2)
    peaks = (smooth == maximum_filter(smooth, 25)).astype(np.float32)
    return gaussian_filter(pixels, 3) + 2000 * gaussian_filter(peaks, 3)


def sharpens(pixels):
    return pixels + 2.5 * (pixels - gaussian_filter(pixels, 1.5))


def found(method, specimen=SPECIMEN):
    return {finding.check: finding for finding in check(method, specimen).findings}


def failing(method, specimen=SPECIMEN):
    return {finding.check for finding in failed(tuple(found(method, specimen).values()))}


@pytest.mark.parametrize("algorithm", ["gaussian", "median", "tv", "nlm", "wavelet"])
def test_classical_algorithms_pass_every_check(algorithm):
    findings = found(classical(ClassicalRef(id=algorithm), Denoise()))
    assert set(findings) == {
        Check.FORWARD,
        Check.WHITENESS,
        Check.CONTRADICTION,
        Check.INVENTION,
        Check.PLANTED,
    }
    assert failed(tuple(findings.values())) == ()


def test_a_method_that_draws_blobs_in_noise_invents_structure():
    findings = found(Method(draws_blobs))
    assert findings[Check.INVENTION].holds is False
    assert findings[Check.INVENTION].value > TrustLimits().invention
    assert "noise alone becomes structure on" in findings[Check.INVENTION].told


def test_a_method_that_sharpens_noise_invents_structure():
    assert Check.INVENTION in failing(Method(sharpens))


def test_a_method_that_shifts_the_image_contradicts_it_and_leaves_structure_in_the_residual():
    assert {Check.WHITENESS, Check.CONTRADICTION} <= failing(
        Method(lambda pixels: np.roll(TV(pixels), 2, axis=1))
    )


def test_a_method_that_smooths_structure_away_is_told_by_the_residual_and_the_blobs():
    assert failing(Method(lambda pixels: gaussian_filter(pixels, 8))) >= {Check.FORWARD, Check.PLANTED}


def test_a_method_that_erases_faint_blobs_is_told():
    from scipy.ndimage import median_filter

    assert Check.PLANTED in failing(Method(lambda pixels: median_filter(pixels, 13)))


def test_giving_the_image_back_invents_and_contradicts_nothing():
    assert failing(Method(lambda pixels: pixels)) == set()


@settings(max_examples=15, deadline=None)
@given(st.floats(0.0, 4.0), st.integers(0, 1000))
def test_no_linear_smoother_is_ever_said_to_invent(sigma, seed):
    given_ = noise_only(100.0, NOISE, 160, np.random.default_rng(seed))
    smoother = Method(lambda pixels: gaussian_filter(pixels, sigma) if sigma else pixels)
    assert invention(smoother, given_, NOISE).share <= 0.005


@pytest.mark.parametrize("size", SIZES_PX)
def test_contrast_is_in_standard_deviations_of_noise(size):
    noise = np.random.default_rng(0).normal(0, 7, (400, 400)).astype(np.float32)
    assert contrast(noise, 7.0, size).std() == pytest.approx(1, abs=0.08)


def test_the_truth_leaves_white_noise_of_the_right_variance():
    left = residual(truth(5), acquired(5), NOISE)
    assert left.variance == pytest.approx(1, abs=0.05)
    assert left.coarse_variance == pytest.approx(1, abs=0.15)


def test_blobs_that_are_not_in_the_acquisition_are_flagged_where_they_are():
    restored, places = TV(IMAGES[0]), [(40, 40), (90, 120)]
    y, x = np.mgrid[:160, :160]
    for top, left in places:
        restored = restored + 40 * np.exp(-((y - top) ** 2 + (x - left) ** 2) / (2 * 3.0**2))
    spots = [spot for spot in contradictions(restored.astype(np.float32), IMAGES[0], NOISE) if spot.invented]
    assert [
        any(abs(spot.y - top) <= 2 and abs(spot.x - left) <= 2 and spot.sigma > 6 for spot in spots)
        for top, left in places
    ] == [True, True]
    assert all(min(abs(spot.y - top) + abs(spot.x - left) for top, left in places) < 12 for spot in spots)
    assert contradictions(TV(IMAGES[0]), IMAGES[0], NOISE) == ()


def test_blobs_that_the_acquisition_shows_are_no_contradiction():
    y, x = np.mgrid[:160, :160]
    blob = (60 * np.exp(-((y - 80) ** 2 + (x - 80) ** 2) / (2 * 3.0**2))).astype(np.float32)
    seen = IMAGES[1] + blob
    assert contradictions(TV(seen), seen, NOISE) == ()


def test_a_blob_that_was_erased_is_told_as_lost():
    y, x = np.mgrid[:160, :160]
    blob = (80 * np.exp(-((y - 80) ** 2 + (x - 80) ** 2) / (2 * 3.0**2))).astype(np.float32)
    clean = np.full((160, 160), 100, np.float32)
    noisy = clean + np.random.default_rng(3).normal(0, 15, clean.shape).astype(np.float32)
    [spot] = contradictions(clean, noisy + blob, NOISE)
    assert (spot.invented, spot.sigma < -6) == (False, True)
    assert abs(spot.y - 80) + abs(spot.x - 80) <= 3


def test_a_super_resolved_result_is_judged_at_the_sampling_of_the_acquisition():
    bicubic = classical(ClassicalRef(id="bicubic"), SuperResolve(scale=2))
    specimen = Specimen(IMAGES[:1], NOISE, SuperResolve(scale=2))
    assert failed(check(bicubic, specimen).findings) == ()
    with pytest.raises(UnusableResult, match="multiple"):
        residual(np.zeros((161, 161), np.float32), IMAGES[0], NOISE)


def test_of_a_segmentation_only_what_it_makes_of_noise_is_asked():
    specimen = Specimen(IMAGES, NOISE, SEGMENT)
    calm = Method(lambda pixels: gaussian_filter(pixels, 4) > 180)
    wild = Method(lambda pixels: pixels > np.median(pixels))
    assert [finding.check for finding in check(calm, specimen).findings] == [Check.INVENTION]
    assert failing(calm, specimen) == set()
    assert failing(wild, specimen) == {Check.INVENTION}
    everything = Method(lambda pixels: np.ones_like(pixels))
    assert failing(everything, specimen) == set()


def on_the_scale_of_the_image(pixels):
    low, high = np.percentile(pixels, (1, 99))
    return (pixels - low) / (high - low)


def test_a_segmentation_is_asked_at_the_contrast_of_the_instrument():
    specimen = Specimen(IMAGES, NOISE, SEGMENT)
    # Marks what stands out by a third of the scale: as much as the specimens do, and far more than noise.
    reads = Method(lambda pixels: gaussian_filter(on_the_scale_of_the_image(pixels), 1) > 0.8)
    [finding] = check(reads, specimen).findings
    assert finding.holds
    assert finding.value < 0.001
    # Marks the noise itself at any contrast.
    invents = Method(lambda pixels: pixels - gaussian_filter(pixels, 2) > 10)
    assert failing(invents, specimen) == {Check.INVENTION}


def test_a_blank_field_keeps_the_scale_of_the_image_and_is_blank_away_from_the_bars():
    field, even = blank_field(IMAGES[0], NOISE, 128, np.random.default_rng(0))
    assert field.shape == even.shape == (128, 128 + CONTRAST_MARGIN_PX)
    wanted, found = (np.percentile(image, (1, 99)) for image in (IMAGES[0], field))
    assert found == pytest.approx(wanted, abs=0.2 * np.ptp(wanted))
    blank = field[:, CONTRAST_MARGIN_PX:]
    assert blank.std() == pytest.approx(15, rel=0.05)
    assert np.ptp(even[:, CONTRAST_MARGIN_PX:]) == 0
    assert np.abs(blank.mean() - even[:, CONTRAST_MARGIN_PX:].mean()) < 1


def test_images_too_small_to_plant_in_fail_nobody():
    small = Specimen((acquired(1, 40),), NOISE, Denoise())
    planted = found(TV, small)[Check.PLANTED]
    assert (planted.value, planted.holds) == (None, None)


def test_of_recorrupted_cases_the_images_as_acquired_are_checked():
    cases = repeat_cases([(str(n), image) for n, image in enumerate(IMAGES)], NOISE, np.random.default_rng(0))
    assert failed(check_cases(TV, cases, Denoise())) == ()
    assert Check.INVENTION in {one.check for one in failed(check_cases(Method(sharpens), cases, Denoise()))}


def test_a_check_that_cannot_be_made_says_why_and_fails_nobody():
    tiny = [Case("a", "a", np.zeros((8, 8), np.float32), Labels(np.zeros((8, 8), bool)))]
    [finding] = check_cases(TV, tiny, Denoise())
    assert (finding.holds, "noise cannot be measured" in finding.told) == (None, True)
    cases = [Case("a", "a", IMAGES[0], Labels(np.zeros((160, 160), bool)))]
    [finding] = check_cases(Method(lambda pixels: pixels[:-1]), cases, Denoise())
    assert (finding.holds, "gives no result" in finding.told) == (None, True)


def test_blobs_come_through_an_identity_whole_and_through_a_flat_result_not_at_all():
    rng = np.random.default_rng
    assert np.allclose(kept(Method(lambda pixels: pixels), IMAGES[0], NOISE, rng(1)), 1, atol=0.25)
    flat = Method(lambda pixels: np.full_like(pixels, pixels.mean()))
    assert max(map(abs, kept(flat, IMAGES[0], NOISE, rng(1)))) < 0.05


def test_the_spread_is_nothing_where_turning_changes_nothing():
    mean, spread = spread_of(lambda pixels: gaussian_filter(pixels, 1), IMAGES[0])
    assert np.allclose(mean, gaussian_filter(IMAGES[0], 1), atol=1e-3)
    assert spread.max() < 1e-3
    _, uneven = spread_of(lambda pixels: np.roll(pixels, 1, axis=0), IMAGES[0])
    assert uneven.mean() > 1


def known(seed, scale=1.0):
    """Errors that the spread tells, but for a factor and a floor."""
    rng = np.random.default_rng(seed)
    spread = rng.uniform(0.5, 5, (80, 80)).astype(np.float32)
    error = rng.normal(0, scale * np.sqrt((3 * spread) ** 2 + 4)).astype(np.float32)
    return Restored(spread, spread, error)


def test_a_calibrated_interval_holds_the_truth_in_95_of_100_pixels_of_other_images():
    calibration = calibrated([known(seed) for seed in range(4)])
    assert calibration.gain == pytest.approx(3, rel=0.1)
    assert coverage([known(9)], calibration)[0] == pytest.approx(0.95, abs=0.01)
    assert coverage([known(9, 3.0)], calibration)[0] < 0.6


def test_errors_that_no_spread_tells_end_up_in_the_floor():
    flat = Restored(np.zeros((60, 60)), np.zeros((60, 60)), np.random.default_rng(0).normal(0, 2, (60, 60)))
    calibration = calibrated([flat])
    assert calibration.floor == pytest.approx(2, rel=0.1)
    assert Calibration(2.0, 0.0, 2.0).half_width(np.ones((2, 2), np.float32)).tolist() == [[4, 4], [4, 4]]
    with pytest.raises(BenchmarkError, match="calibrate"):
        calibrated([])


def test_an_image_acquired_again_has_the_result_as_its_truth_and_the_instruments_noise():
    one = acquired_again(TV, IMAGES[0], NOISE, np.random.default_rng(0))
    assert np.std(one.acquired - one.truth) == pytest.approx(15, rel=0.05)
    assert restored(TV, one).error.shape == one.truth.shape
