"""The weight map of U-Net, held against its formula."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_library.training.borders import border_weights, components
from model_library.wire.tasks import UNKNOWN_CLASS


def scene(seed, side=40, objects=4):
    """Squares of 6 pixels that may touch: classes and instances."""
    rng = np.random.default_rng(seed)
    instances = np.zeros((side, side), np.int32)
    for number, (top, left) in enumerate(rng.integers(0, side - 6, (objects, 2)), start=1):
        instances[top : top + 6, left : left + 6] = number
    return (instances > 0).astype(np.uint8), instances


def written_out(classes, instances):
    """Equation 2 of the paper by brute force, the balance so that every class has the same sum."""
    ys, xs = np.indices(instances.shape)
    distances = []
    for number in np.unique(instances[instances > 0]):
        own_y, own_x = np.nonzero(instances == number)
        squared = (ys[..., None] - own_y) ** 2 + (xs[..., None] - own_x) ** 2
        distances.append(np.sqrt(squared.min(axis=-1)))
    nearest = np.sort(distances, axis=0)
    border = 10 * np.exp(-((nearest[0] + nearest[1]) ** 2) / (2 * 5**2)) if len(distances) > 1 else 0
    present = np.unique(classes)
    balance = sum(
        (classes == one) * classes.size / (len(present) * (classes == one).sum()) for one in present
    )
    return balance + np.where(instances == 0, border, 0)


@given(seed=st.integers(0, 200))
def test_weights_are_those_of_the_paper(seed: int):
    classes, instances = scene(seed)
    assert np.abs(border_weights(classes, instances) - written_out(classes, instances)).max() < 0.005


def test_the_gap_between_two_objects_weighs_most():
    instances = np.zeros((30, 30), np.int32)
    instances[5:25, 3:14], instances[5:25, 16:27] = 1, 2
    weights = border_weights((instances > 0).astype(np.uint8), instances)
    gap, outside = weights[15, 14:16], weights[15, :3]
    assert gap.min() > outside.max() + 5
    assert weights.dtype == np.float32


def test_numbers_may_have_gaps():
    classes, instances = scene(3)
    spread = instances * 7
    assert np.array_equal(border_weights(classes, instances), border_weights(classes, spread))


@pytest.mark.parametrize("objects", [0, 1])
def test_fewer_than_two_objects_have_no_gap(objects: int):
    classes, instances = scene(0, objects=objects)
    weights = border_weights(classes, instances)
    assert len(np.unique(weights)) == objects + 1
    assert weights.mean() == pytest.approx(1)


def test_classes_balance_and_unknown_pixels_weigh_nothing():
    classes, instances = scene(1)
    classes[:5] = UNKNOWN_CLASS
    weights = border_weights(classes, np.where(classes == UNKNOWN_CLASS, 0, instances), weight=0.0)
    assert not weights[:5].any()
    assert weights[classes == 0].sum() == pytest.approx(weights[classes == 1].sum(), rel=1e-5)


def test_components_number_the_regions_of_one_class():
    classes = np.zeros((6, 6), np.uint8)
    classes[:2, :2] = classes[4:, 4:] = 1
    found = components(classes, 1)
    assert found.max() == 2
    assert np.array_equal(found > 0, classes == 1)
    assert components(classes, 0).max() == 1
