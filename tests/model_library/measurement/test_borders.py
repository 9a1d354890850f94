"""Objects that touch come apart at their rims, and are found again."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_library.measurement.borders import CORE, RIM, bordered, objects_of


def discs(shape, circles):
    """Numbered discs (y, x, radius); later ones lie on top."""
    rows, columns = np.indices(shape)
    objects = np.zeros(shape, dtype=np.int32)
    for number, (y, x, radius) in enumerate(circles, start=1):
        objects[np.hypot(rows - y, columns - x) <= radius] = number
    return objects


@pytest.mark.parametrize("border_px", [1, 2, 3])
def test_touching_objects_are_found_again(border_px):
    objects = discs((60, 90), [(30, 20, 14), (30, 49, 15), (30, 76, 12)])
    classes = bordered(objects, border_px)
    assert np.array_equal(classes > 0, objects > 0)
    found = objects_of(classes)
    assert found.max() == 3
    for number in (1, 2, 3):
        (same,) = np.unique(found[(objects == number) & (classes == CORE)])
        both = ((found == same) & (objects == number)).sum()
        assert both / ((found == same) | (objects == number)).sum() > 0.95


@settings(max_examples=30, deadline=None)
@given(
    circles=st.lists(
        st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(1, 12)), min_size=0, max_size=8
    )
)
def test_rims_lie_inside_and_every_object_has_a_core(circles):
    objects = discs((40, 40), circles)
    classes = bordered(objects, 2)
    assert classes.dtype == np.uint8
    assert np.array_equal(classes > 0, objects > 0)
    for number in set(np.unique(objects)) - {0}:
        assert (classes[objects == number] == CORE).any()
    meets = (objects[:, :-1] != objects[:, 1:]) & (objects[:, :-1] > 0) & (objects[:, 1:] > 0)
    cores = (classes[:, :-1] == CORE) & (classes[:, 1:] == CORE)
    thick = np.isin(objects, [n for n in np.unique(objects) if n and (objects == n).sum() > 120])
    assert not (meets & cores & thick[:, :-1] & thick[:, 1:]).any()


def test_a_rim_without_a_core_is_no_object():
    classes = np.zeros((12, 12), dtype=np.uint8)
    classes[2:5, 2:5] = RIM
    assert not objects_of(classes).any()
    classes[7:10, 7:10] = CORE
    assert objects_of(classes).max() == 1


def test_a_core_is_parted_where_a_rim_was_missed_and_a_slight_one_is_kept():
    classes = np.zeros((40, 80), dtype=np.uint8)
    classes[8:32, 4:30], classes[8:32, 34:60], classes[18:22, 30:34] = CORE, CORE, CORE
    classes[10:14, 70:73] = CORE
    assert objects_of(classes).max() == 2
    found = objects_of(classes, apart_px=4)
    assert found.max() == 3
    assert found[20, 10] != found[20, 50]
    assert np.array_equal(found > 0, classes > 0)
