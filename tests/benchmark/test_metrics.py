"""Metrics equal scikit-image's, and the affine-invariant one ignores gain and offset."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage import metrics as peer

from benchmark.metrics import Metric, affine_fit, dice, iou, nrmse, psnr, psnr_affine, ssim


@pytest.fixture(params=[0, 1, 2])
def pair(request):
    rng = np.random.default_rng(request.param)
    truth = rng.uniform(50, 900, (61, 80))
    return truth + rng.normal(0, 40, truth.shape), truth


def test_psnr_equals_the_peer(pair):
    image, truth = pair
    span = np.ptp(truth)
    assert psnr(image, truth, span) == pytest.approx(
        peer.peak_signal_noise_ratio(truth, image, data_range=span), abs=1e-6
    )


def test_ssim_equals_the_peer(pair):
    image, truth = pair
    expected = peer.structural_similarity(
        truth, image, data_range=850.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert ssim(image, truth, 850.0) == pytest.approx(expected, abs=1e-6)


def test_nrmse_equals_the_peer(pair):
    image, truth = pair
    assert nrmse(image, truth) == pytest.approx(peer.normalized_root_mse(truth, image), abs=1e-6)


@given(
    gain=st.floats(0.01, 100) | st.floats(-100, -0.01),
    offset=st.floats(-1000, 1000),
    seed=st.integers(0, 2**32 - 1),
)
def test_affine_psnr_ignores_gain_and_offset(gain, offset, seed):
    rng = np.random.default_rng(seed)
    truth = rng.uniform(0, 1, (16, 16))
    image = truth + rng.normal(0, 0.3, truth.shape)
    assert psnr_affine(gain * image + offset, truth, 1.0) == pytest.approx(
        psnr_affine(image, truth, 1.0), abs=1e-6
    )


def test_affine_psnr_is_never_below_the_raw_one(pair):
    image, truth = pair
    assert psnr_affine(image, truth, 850.0) >= psnr(image, truth, 850.0)


def test_affine_fit_of_a_flat_image_is_the_mean():
    assert affine_fit(np.full((4, 4), 3.0), np.arange(16.0).reshape(4, 4)) == (0.0, 7.5)


def test_psnr_of_equal_images_is_infinite_and_of_nan_is_nan():
    image = np.ones((12, 12))
    assert psnr(image, image, 1.0) == np.inf
    assert np.isnan(psnr(image * np.nan, image, 1.0))


def test_dice_counts_overlap_and_defines_the_empty_case():
    a = np.array([[1, 1, 0, 0]])
    assert dice(a, np.array([[0, 1, 1, 0]])) == 0.5
    assert dice(np.zeros((2, 2)), np.zeros((2, 2))) == 1.0
    assert dice(a, np.zeros_like(a)) == 0.0


def test_iou_follows_from_dice_and_defines_the_empty_case():
    a, b = np.array([[1, 1, 0, 0]]), np.array([[0, 1, 1, 1]])
    assert iou(a, b) == pytest.approx(dice(a, b) / (2 - dice(a, b)))
    assert iou(np.zeros((2, 2)), np.zeros((2, 2))) == 1.0


def test_shapes_must_agree():
    for metric in (lambda a, b: psnr(a, b, 1.0), lambda a, b: ssim(a, b, 1.0), nrmse, dice, iou):
        with pytest.raises(ValueError, match="one shape"):
            metric(np.zeros((12, 12)), np.zeros((12, 13)))


def test_lower_is_better_for_errors_resolution_risk_and_lost_information():
    assert [metric for metric in Metric if not metric.higher_is_better] == [
        Metric.NRMSE,
        Metric.NRMSE_AFFINE,
        Metric.FRC_RESOLUTION,
        Metric.FRAME_RISK,
        Metric.VARIATION_OF_INFORMATION,
        Metric.FORWARD_MISFIT,
    ]
