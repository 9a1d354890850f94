"""Scores of objects and partitions equal those of their peers, or of a count by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import gaussian_filter, label
from skimage import metrics as peer

from benchmark.metrics import average_precision, coco_ap50, rand_foreground, variation_of_information
from benchmark.metrics.detection import object_overlaps

label_images = arrays(np.int32, (8, 9), elements=st.integers(0, 5))


def cells(seed, side=64):
    rng = np.random.default_rng(seed)
    field = gaussian_filter(rng.standard_normal((side, side)), 3, mode="wrap")
    found, _ = label(field / field.std() > -0.3)
    return found.astype(np.int32)


@pytest.mark.parametrize("seed", range(4))
def test_the_rand_score_is_one_minus_the_peers_error(seed):
    truth, segments = cells(seed), cells(seed + 1) + 1
    error, _, _ = peer.adapted_rand_error(truth, segments)
    assert rand_foreground(segments, truth) == pytest.approx(1 - error, abs=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_lost_information_equals_the_peers(seed):
    truth, segments = cells(seed) + 1, cells(seed + 1) + 1
    expected = peer.variation_of_information(truth, segments)
    assert sorted(variation_of_information(segments, truth)) == pytest.approx(sorted(expected), abs=1e-6)


def test_a_split_and_a_merger_lose_information_on_their_own_sides():
    truth = np.repeat([[1, 1, 2, 2]], 4, axis=0)
    assert variation_of_information(np.repeat([[1, 1, 2, 3]], 4, axis=0), truth) == (0.5, 0.0)
    assert variation_of_information(np.ones_like(truth), truth) == (0.0, 1.0)
    assert rand_foreground(np.ones_like(truth), truth) < 0.7


@given(label_images, st.integers(0, 2**16))
def test_partitions_have_no_names(segments, seed):
    truth = np.arange(72, dtype=np.int32).reshape(8, 9) // 7
    names = np.random.default_rng(seed).permutation(6)
    for score in (rand_foreground, variation_of_information):
        assert score(names[segments], truth) == pytest.approx(score(segments, truth))


@given(label_images)
def test_equal_labels_score_the_best_there_is(labels):
    assert rand_foreground(labels, labels) == 1.0
    assert variation_of_information(labels, labels) == pytest.approx((0.0, 0.0))
    assert average_precision(labels, labels) == 1.0
    assert coco_ap50(labels, labels) == pytest.approx(1.0)


def test_objects_are_counted_by_optimal_matching():
    truth = np.zeros((4, 12), np.int32)
    truth[:, 0:4], truth[:, 4:8], truth[:, 9:12] = 1, 2, 3
    found = np.zeros_like(truth)
    # The first meets 1 at 3/4 and leaves 2 to the second, which overlaps it at exactly one half.
    found[:, 0:3], found[:, 4:6] = 1, 2
    assert average_precision(found, truth) == 2 / 3
    assert average_precision(found, truth, least_iou=0.6) == 1 / 4
    assert average_precision(np.zeros_like(truth), truth) == 0.0
    assert average_precision(found, np.zeros_like(truth)) == 0.0
    assert average_precision(np.zeros_like(truth), np.zeros_like(truth)) == 1.0


def test_labels_without_pixels_are_no_objects():
    truth = np.zeros((4, 8), np.int32)
    truth[:, :4] = 7
    found = object_overlaps(truth, 3 * (truth > 0))
    assert (found.iou.tolist(), found.found, found.true) == ([1.0], 1, 1)


def test_coco_rewards_the_order_of_certainty_and_the_other_convention_does_not():
    truth = np.zeros((8, 40), np.int32)
    truth[:, 0:8], truth[:, 10:18] = 1, 2
    sure_and_right = np.zeros_like(truth)
    sure_and_right[:, 0:8], sure_and_right[:, 10:18], sure_and_right[:, 25:30] = 1, 2, 3
    sure_and_wrong = np.choose(sure_and_right, [0, 2, 3, 1])
    assert coco_ap50(sure_and_right, truth) == pytest.approx(1.0)
    # Precision at ranks 2 and 3 is 1/2 and 2/3; interpolated, 2/3 at every recall.
    assert coco_ap50(sure_and_wrong, truth) == pytest.approx(2 / 3, abs=1e-6)
    assert average_precision(sure_and_right, truth) == average_precision(sure_and_wrong, truth) == 2 / 3


def test_coco_defines_what_nothing_found_and_nothing_there_are_worth():
    nothing, one = np.zeros((4, 4), np.int32), np.ones((4, 4), np.int32)
    assert coco_ap50(nothing, nothing) == 1.0
    assert coco_ap50(one, nothing) == coco_ap50(nothing, one) == 0.0


def test_the_report_of_the_peer_stays_off_standard_output(capsys):
    coco_ap50(np.ones((4, 4), np.int32), np.ones((4, 4), np.int32))
    assert capsys.readouterr().out == ""
