"""Predictions go to CVAT and come back as the same instances, painted or outlined."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from model_library.annotations import (
    Ellipse,
    InstanceStack,
    PixelMask,
    Polygon,
    class_map,
    draw_classes,
    draw_instances,
    draw_stack,
    instance_map,
    instance_stack,
    rasterise,
    read_cvat,
    write_cvat,
)
from model_library.errors import AnnotationError

FIXED = settings(derandomize=True, deadline=None)
OUTLINES = ["mask", "polygon"]
NUMBERS = arrays.arrays(
    np.int32, arrays.array_shapes(min_dims=2, max_dims=2, max_side=14), elements=st.integers(0, 4)
)


def exchanged(drawing):
    (back,) = read_cvat(write_cvat([drawing], sorted(drawing.known)), "corrected.xml")
    return back


def renumbered(numbers):
    """Number instances from 1, in order, as they are drawn."""
    _, compact = np.unique(np.concatenate(([0], numbers.ravel())), return_inverse=True)
    return compact[1:].reshape(numbers.shape)


@FIXED
@given(NUMBERS, st.sampled_from(OUTLINES))
def test_instances_come_back_as_they_went(numbers, outline):
    back = exchanged(draw_instances("a.png", numbers, "cell", outline))
    assert np.array_equal(instance_map(back), renumbered(numbers))


@FIXED
@given(NUMBERS, st.sampled_from(OUTLINES))
def test_classes_come_back_as_they_went(indices, outline):
    classes = ("background", "a", "b", "c", "d")
    back = exchanged(draw_classes("a.png", indices.astype(np.uint8), classes, outline))
    assert np.array_equal(class_map(back, classes), indices)
    assert back.known == set(classes[1:])


@settings(FIXED, max_examples=20)
@given(st.floats(20, 40), st.floats(5, 40), st.floats(0, 180))
def test_an_outline_has_few_corners_and_still_the_same_pixels(radius_x, radius_y, degrees):
    numbers = np.zeros((100, 100), dtype=np.uint16)
    placed = rasterise(Ellipse(50, 50, radius_x, radius_y, degrees), numbers.shape)
    numbers[placed.window] = placed.mask * 7
    back = exchanged(draw_instances("a.png", numbers, "cell", "polygon"))
    assert np.array_equal(instance_map(back) > 0, numbers > 0)
    shape = back.annotations[0].shape
    assert isinstance(shape, Polygon)
    assert len(shape.points) < np.pi * (radius_x + radius_y) * 0.75


@FIXED
@given(arrays.arrays(bool, st.tuples(st.integers(0, 4), st.just(9), st.just(11))), st.sampled_from(OUTLINES))
def test_overlapping_instances_come_back_whole(masks, outline):
    labels = np.arange(len(masks)) % 2 + 1
    boxes = np.zeros((len(masks), 4), dtype=np.float32)
    classes = ("background", "particle", "satellite")
    drawing = draw_stack("a.png", InstanceStack(masks, labels, boxes), classes, outline)
    back = instance_stack(exchanged(drawing), classes)
    kept = masks.any(axis=(1, 2))
    assert np.array_equal(back.masks, masks[kept])
    assert np.array_equal(back.labels, labels[kept])


def test_what_one_outline_cannot_tell_is_painted():
    ring = np.ones((5, 5), dtype=np.int32)
    ring[2, 2] = 0
    apart = np.zeros((5, 5), dtype=np.int32)
    apart[0, 0] = apart[4, 4] = 1
    for numbers in (ring, apart):
        (annotation,) = draw_instances("a.png", numbers, "cell", "polygon").annotations
        assert isinstance(annotation.shape, PixelMask)


def test_objects_that_touch_only_at_a_corner_are_one():
    diagonal = np.eye(4, dtype=np.uint8)
    assert len(draw_classes("a.png", diagonal, ("background", "crack")).annotations) == 1


@pytest.mark.parametrize("numbers", [np.full((3, 3), -1), np.zeros((2, 3, 3), dtype=np.int32)])
def test_what_is_no_label_image_is_refused(numbers):
    with pytest.raises(AnnotationError, match=r"a\.png: expected a label image"):
        draw_instances("a.png", numbers, "cell")


def test_an_index_without_a_name_is_refused():
    with pytest.raises(AnnotationError, match="below 2, found 3"):
        draw_classes("a.png", np.full((3, 3), 3, dtype=np.uint8), ("background", "pore"))
    stack = InstanceStack(np.ones((1, 3, 3), dtype=bool), np.array([2]), np.zeros((1, 4), dtype=np.float32))
    with pytest.raises(AnnotationError, match="from 1 to 1, found 2 to 2"):
        draw_stack("a.png", stack, ("background", "pore"))
