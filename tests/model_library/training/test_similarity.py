"""MS-SSIM held against the formula written out in numpy."""

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate1d

from model_library.errors import RecipeError
from model_library.training.similarity import ms_ssim, scales_for

WEIGHTS = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])


def smoothed(image):
    places = np.arange(-5, 6)
    bell = np.exp(-(places**2) / (2 * 1.5**2))
    bell /= bell.sum()
    for axis in (0, 1):
        image = correlate1d(image, bell, axis=axis)
    return image[5:-5, 5:-5]


def binned(image):
    height, width = (length // 2 * 2 for length in image.shape)
    return image[:height, :width].reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3))


def written_out(x, y, scales):
    """MS-SSIM of two float64 images [Y, X], data range 1 (Wang et al. 2003)."""
    weights, value = WEIGHTS[:scales] / WEIGHTS[:scales].sum(), 1.0
    for number in range(scales):
        mean_x, mean_y = smoothed(x), smoothed(y)
        covariance = smoothed(x * y) - mean_x * mean_y
        variances = smoothed(x * x) - mean_x**2 + smoothed(y * y) - mean_y**2
        factor = (2 * covariance + 0.03**2) / (variances + 0.03**2)
        if number == scales - 1:
            factor = factor * (2 * mean_x * mean_y + 0.01**2) / (mean_x**2 + mean_y**2 + 0.01**2)
        value *= max(factor.mean(), 1e-4) ** weights[number]
        x, y = binned(x), binned(y)
    return value


def pair(side, seed=0, noise=0.2):
    rng = np.random.default_rng(seed)
    clean = smoothed(np.pad(rng.random((side, side)), 5, mode="wrap"))
    clean = (clean - clean.min()) / np.ptp(clean)
    return clean, clean + rng.normal(0, noise, clean.shape)


def as_batch(*images):
    return torch.from_numpy(np.stack(images)[:, None].astype(np.float32))


@pytest.mark.parametrize(("side", "scales"), [(11, 1), (32, 2), (48, 3), (64, 3), (96, 4), (200, 5)])
@pytest.mark.parametrize("noise", [0.02, 0.5])
def test_it_is_the_formula_at_every_size(side: int, scales: int, noise: float):
    clean, noisy = pair(side, seed=side, noise=noise)
    assert scales_for(side) == scales
    assert float(ms_ssim(as_batch(noisy), as_batch(clean))) == pytest.approx(
        written_out(noisy, clean, scales), abs=2e-4
    )


def test_five_scales_need_more_than_160_pixels():
    assert (scales_for(175), scales_for(176)) == (4, 5)


def test_equal_images_score_1_and_channels_and_images_are_averaged():
    one, other = pair(64)
    assert float(ms_ssim(as_batch(one), as_batch(one))) == pytest.approx(1)
    both = float(ms_ssim(as_batch(one, other), as_batch(one, one)))
    assert both == pytest.approx((1 + float(ms_ssim(as_batch(other), as_batch(one)))) / 2, abs=1e-6)
    side_by_side = as_batch(one, other).view(1, 2, 64, 64), as_batch(one, one).view(1, 2, 64, 64)
    assert float(ms_ssim(*side_by_side)) == pytest.approx(both, abs=1e-6)


def test_the_slope_is_finite_also_for_opposite_images():
    clean, _ = pair(48)
    prediction = (1 - as_batch(clean)).requires_grad_()
    ms_ssim(prediction, as_batch(clean)).backward()
    assert prediction.grad is not None
    assert torch.isfinite(prediction.grad).all()


def test_patches_below_a_window_are_refused():
    with pytest.raises(RecipeError, match="at least 11 pixels"):
        ms_ssim(torch.zeros(1, 1, 10, 10), torch.zeros(1, 1, 10, 10))
