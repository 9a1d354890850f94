"""One acquisition of counted events says what two say; grey values that are no events are refused."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from benchmark.errors import UncalibratedCounts
from benchmark.metrics import frc_resolution
from benchmark.metrics.splitting import binomial_halves, events_of, frc_resolution_counts

SIDE = 256


def expected_events(seed, mean=60.0):
    rng = np.random.default_rng(seed)
    scene = gaussian_filter(rng.standard_normal((SIDE, SIDE)), 2.5, mode="wrap")
    return mean * (1 + 0.3 * scene / scene.std()).clip(0.1)


def counted(seed, mean=60.0):
    return np.random.default_rng([seed, 1]).poisson(expected_events(seed, mean))


def test_no_event_is_lost_and_the_halves_are_equally_bright():
    counts = counted(0)
    first, second = binomial_halves(counts, np.random.default_rng(0))
    assert np.array_equal(first + second, counts)
    assert first.min() >= 0
    assert first.mean() == pytest.approx(counts.mean() / 2, rel=0.01)


def test_the_halves_are_independent():
    counts = counted(1)
    first, second = binomial_halves(counts, np.random.default_rng(0))
    noise_a, noise_b = (half - expected_events(1) / 2 for half in (first, second))
    assert abs(np.corrcoef(noise_a.ravel(), noise_b.ravel())[0, 1]) < 0.02


@pytest.mark.parametrize("seed", range(3))
def test_one_acquisition_resolves_what_two_of_half_the_dose_do(seed):
    halves = [np.random.default_rng([seed, n]).poisson(expected_events(seed) / 2) for n in (2, 3)]
    found = frc_resolution_counts(counted(seed), np.random.default_rng(seed))
    assert found == pytest.approx(frc_resolution(*halves), rel=0.1)


def test_grey_values_of_a_detector_are_refused_until_they_are_calibrated():
    grey = 7 * counted(2) + 400
    with pytest.raises(UncalibratedCounts, match="variance equal to the mean"):
        binomial_halves(grey, np.random.default_rng(0))
    events = events_of(grey, gain=7, offset=400)
    assert np.array_equal(events, counted(2))
    assert frc_resolution_counts(events, np.random.default_rng(0)) > 2.5


def test_what_would_have_been_claimed_of_raw_grey_values_is_the_pixel_itself():
    grey = 7 * counted(2) + 400
    first = np.random.default_rng(0).binomial(grey, 0.5)
    assert (
        frc_resolution(first, grey - first)
        < 2.2
        < 2.5
        < frc_resolution_counts(counted(2), np.random.default_rng(0))
    )


@pytest.mark.parametrize("pixels", [np.full((64, 64), 0.5), np.full((64, 64), -3)])
def test_what_cannot_be_counted_is_refused(pixels):
    with pytest.raises(UncalibratedCounts, match="whole numbers"):
        binomial_halves(pixels, np.random.default_rng(0))
