"""Metrics equal trusted implementations, on every path of ours, and keep what their definitions promise."""

import importlib
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import gaussian_filter, label
from skimage import metrics as peer
from skimage.segmentation import find_boundaries
from skimage.transform import downscale_local_mean

from benchmark import compiled
from benchmark.errors import UnfitImages
from benchmark.metrics import (
    adapted_rand_error,
    average_precision,
    boundary_f,
    dice,
    dice_per_class,
    iou_per_class,
    ms_ssim,
    ms_ssim_affine,
    nrmse,
    nrmse_affine,
    panoptic_quality,
    percentile_normalised,
    percentile_range,
    psnr,
    ssim,
    ssim_affine,
    variation_of_information,
)
from benchmark.metrics.boundaries import boundaries
from benchmark.metrics.contingency import contingency
from benchmark.metrics.resolution import ring_correlation
from benchmark.metrics.structural import SCALE_WEIGHTS

label_images = arrays(np.int32, (8, 9), elements=st.integers(0, 5))
CLOSE = {"abs": 1e-6}


@pytest.fixture(params=["compiled", "scipy"])
def path(request, monkeypatch):
    """Both ways to compute, whatever the size of the image."""
    if request.param == "compiled":
        pytest.importorskip("numba")
    monkeypatch.setattr(compiled, "LEAST_PX", 0 if request.param == "compiled" else 1 << 40)
    return request.param


def from_torchmetrics(name):
    """A part of torchmetrics, which imports torchvision."""
    importlib.import_module("model_library.networks.torchvision_door")
    return pytest.importorskip(f"torchmetrics.functional.{name}")


def pair(seed, shape=(192, 208)):
    rng = np.random.default_rng(seed)
    truth = gaussian_filter(rng.uniform(0, 4000, shape), 2)
    return truth + rng.normal(0, 60, shape), truth


def cells(seed, side=64):
    rng = np.random.default_rng(seed)
    field = gaussian_filter(rng.standard_normal((side, side)), 3, mode="wrap")
    return label(field / field.std() > -0.3)[0].astype(np.int32)


@pytest.mark.parametrize("seed", range(3))
def test_ssim_equals_scikit_image(path, seed):
    image, truth = pair(seed)
    expected = peer.structural_similarity(
        truth, image, data_range=850.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert ssim(image, truth, 850.0) == pytest.approx(expected, **CLOSE)


def scale_by_scale(image, truth, data_range):
    """Five scales by scikit-image, whose luminance a huge K1 switches off."""
    found = 1.0
    for scale, weight in enumerate(SCALE_WEIGHTS):
        luminance = {} if scale == len(SCALE_WEIGHTS) - 1 else {"K1": 1e12}
        window = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
        found *= (
            peer.structural_similarity(truth, image, data_range=data_range, **window, **luminance) ** weight
        )
        image, truth = (downscale_local_mean(each, (2, 2)) for each in (image, truth))
    return found


@pytest.mark.parametrize("seed", range(3))
def test_ms_ssim_equals_scikit_image_scale_by_scale(path, seed):
    image, truth = pair(seed)
    assert ms_ssim(image, truth, 850.0) == pytest.approx(scale_by_scale(image, truth, 850.0), **CLOSE)


def test_five_scales_need_161_pixels():
    image, truth = pair(0, (161, 161))
    assert 0 < ms_ssim(image, truth, 850.0) < 1
    with pytest.raises(UnfitImages, match="161 px a side"):
        ms_ssim(image[:160], truth[:160], 850.0)


def test_opposite_images_have_no_similarity_at_five_scales():
    _, truth = pair(0)
    assert ms_ssim(truth.mean() - (truth - truth.mean()), truth, 10.0) == 0.0


@settings(max_examples=10, deadline=None)
@given(gain=st.floats(0.05, 20), offset=st.floats(-1000, 1000), seed=st.integers(0, 99))
def test_affine_metrics_ignore_gain_and_offset(gain, offset, seed):
    image, truth = pair(seed, (163, 170))
    for metric in (ssim_affine, ms_ssim_affine):
        assert metric(gain * image + offset, truth, 850.0) == pytest.approx(metric(image, truth, 850.0))
    assert nrmse_affine(gain * image + offset, truth) == pytest.approx(nrmse_affine(image, truth))
    assert nrmse_affine(image, truth) <= nrmse(image, truth)


def test_percentiles_bring_images_to_one_scale():
    image, truth = pair(1)
    normal = percentile_normalised(truth)
    assert np.percentile(normal, (3, 99.8)) == pytest.approx((0, 1))
    assert percentile_normalised(7 * truth - 300) == pytest.approx(normal)
    low = np.percentile(truth, 3)
    assert psnr((image - low) / percentile_range(truth), normal, 1.0) == pytest.approx(
        psnr(image, truth, percentile_range(truth))
    )
    assert percentile_normalised(np.full((4, 4), 9)).tolist() == np.zeros((4, 4)).tolist()


def test_the_affine_fit_is_that_of_least_squares():
    image, truth = pair(2, (20, 20))
    line = np.polyfit(image.ravel(), truth.ravel(), 1)
    assert nrmse_affine(image, truth) == pytest.approx(nrmse(np.polyval(line, image), truth))


@pytest.mark.parametrize("dtype", [np.uint16, np.float32, np.float64])
def test_ring_correlation_equals_the_plain_complex_transform(path, dtype):
    side = 96
    rng = np.random.default_rng(4)
    scene = gaussian_filter(rng.standard_normal((side, side)), 1.5)
    a, b = ((5000 + 900 * scene + rng.normal(0, 60, scene.shape)).astype(dtype) for _ in "ab")
    hann = np.hanning(side)
    spectra = [np.fft.fft2((each - each.mean()) * hann[:, None] * hann) for each in (a, b)]
    radius = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side))) * side
    for number in range(3, side // 2 + 1):
        first, second = (each[np.rint(radius) == number] for each in spectra)
        expected = np.real(np.vdot(second, first)) / np.linalg.norm(first) / np.linalg.norm(second)
        assert ring_correlation(a, b).correlation[number - 1] == pytest.approx(expected, **CLOSE)


@given(label_images, label_images, st.booleans())
def test_the_table_holds_every_pixel_once(a, b, huge):
    named = (a.astype(np.int64) * (10**12 if huge else 1), b)
    table = contingency(*named)
    expected = peer.contingency_table(a, b).toarray()
    assert int(table.pixels.sum()) == a.size
    assert table.pixels.min() > 0
    assert sorted(table.pixels) == sorted(expected[expected > 0])
    if not huge:
        assert expected[table.a, table.b].tolist() == table.pixels.tolist()


@given(arrays(np.int64, (40, 40), elements=st.integers(0, 10**6)), st.integers(0, 9))
def test_a_table_too_large_to_hold_is_counted_all_the_same(a, seed):
    b = np.random.default_rng(seed).integers(0, 5, a.shape) * (2**20)
    pairs, counts = np.unique(np.stack([a.ravel(), b.ravel()]), axis=1, return_counts=True)
    table = contingency(a, b)
    assert table.pixels.tolist() == counts.tolist()
    assert len(table.a) == pairs.shape[1]


@pytest.mark.parametrize("seed", range(5))
def test_panoptic_quality_equals_torchmetrics(seed):
    torchmetrics = from_torchmetrics("detection")
    truth = cells(seed)
    found = np.where(np.roll(truth, (1, 2), (0, 1)) % 5 == 4, 0, np.roll(truth, (1, 2), (0, 1)))
    # Class 0 is background ("stuff"), class 1 objects, whose quality comes first.
    maps = (torch.from_numpy(np.stack([each > 0, each], axis=-1).astype(np.int64)) for each in (found, truth))
    qualities = torchmetrics.panoptic_quality(
        *(each[None] for each in maps), things={1}, stuffs={0}, return_per_class=True
    )
    assert panoptic_quality(found, truth) == pytest.approx(float(qualities[0, 0]), **CLOSE)


@given(label_images, label_images)
def test_quality_of_objects_follows_from_their_matches(found, truth):
    hits = average_precision(found, truth, least_iou=0.5 + 1e-9)
    f1 = 2 * hits / (1 + hits)
    assert f1 / 2 <= panoptic_quality(found, truth) + 1e-12
    assert panoptic_quality(found, truth) <= f1 + 1e-12
    assert panoptic_quality(truth, found) == pytest.approx(panoptic_quality(found, truth))


def test_quality_of_nothing_is_defined():
    nothing, one = np.zeros((4, 4), np.int32), np.ones((4, 4), np.int32)
    for metric in (panoptic_quality, average_precision, boundary_f, dice):
        assert metric(nothing, nothing) == 1.0
    assert panoptic_quality(one, nothing) == panoptic_quality(nothing, one) == 0.0
    assert dice_per_class(nothing, nothing, 2) == iou_per_class(nothing, nothing, 2) == (1.0, 1.0)


@given(
    arrays(np.int32, (8, 9), elements=st.integers(0, 2)), arrays(np.int32, (8, 9), elements=st.integers(0, 2))
)
def test_classes_are_scored_one_by_one(found, truth):
    for number, score in enumerate(dice_per_class(found, truth, 3)):
        assert score == dice(found == number, truth == number)


@given(label_images)
def test_boundaries_are_those_of_scikit_image(labels):
    assert np.array_equal(boundaries(labels), find_boundaries(labels, connectivity=1, mode="inner"))


@settings(deadline=None)
@given(label_images, label_images, st.sampled_from([0.0, 1.0, 1.5, 2.0]))
def test_boundary_f_equals_a_count_by_hand(found, truth, tolerance):
    places = [np.argwhere(boundaries(each)) for each in (found, truth)]
    if not all(map(len, places)):
        expected = float(len(places[0]) == len(places[1]))
    else:
        away = np.hypot(*(places[0][:, None] - places[1][None]).transpose(2, 0, 1))
        precision, recall = ((away.min(axis=axis) <= tolerance).mean() for axis in (1, 0))
        expected = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    assert boundary_f(found, truth, tolerance) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(3))
def test_partitions_equal_scikit_image_with_the_background_left_out(seed):
    truth, segments = cells(seed), cells(seed + 1)
    error, _, _ = peer.adapted_rand_error(truth, segments, ignore_labels=(0,))
    assert adapted_rand_error(segments, truth) == pytest.approx(error, **CLOSE)
    judged = truth > 0
    expected = peer.variation_of_information(truth[judged][None], segments[judged][None])
    split, merge = variation_of_information(segments, truth)
    assert (split, merge) == pytest.approx((expected[0], expected[1]), **CLOSE)


def test_all_metrics_of_two_images_refuse_other_shapes():
    a, b = np.zeros((200, 200)), np.zeros((200, 201))
    for metric in (ssim_affine, ms_ssim, ms_ssim_affine):
        with pytest.raises(UnfitImages, match="one shape"):
            metric(a, b, 1.0)
    for metric in (nrmse_affine, panoptic_quality, boundary_f, adapted_rand_error):
        with pytest.raises(UnfitImages, match="one shape"):
            metric(a, b)


def test_a_flat_truth_has_no_relative_error():
    assert math.isnan(nrmse(np.ones((4, 4)), np.zeros((4, 4))))
