"""What networks are trained on: unknown is not negative, overlaps stay apart, boxes are tight."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model_library.annotations import (
    UNKNOWN_CLASS,
    AnnotatedImage,
    Annotation,
    Box,
    Ellipse,
    PixelMask,
    Polygon,
    Polyline,
    cropped,
    detection_target,
    instance_stack,
    merged,
    one_hot,
    renamed,
    target_map,
)
from model_library.errors import AnnotationError

CLASSES = ("background", "particle", "satellite")
PARTICLE = Annotation("particle", Box(2, 3, 12, 13))
SATELLITE = Annotation("satellite", Box(8, 8, 18, 12), z_order=1)

COORDINATES = st.floats(-10, 50)
POINTS = st.lists(st.tuples(COORDINATES, COORDINATES), min_size=3, max_size=6).map(tuple)
SHAPES = st.one_of(
    st.builds(Polygon, POINTS),
    st.builds(Polyline, POINTS, st.floats(0.5, 5)),
    st.builds(Box, COORDINATES, COORDINATES, COORDINATES, COORDINATES, st.floats(0, 90)),
    st.builds(Ellipse, COORDINATES, COORDINATES, st.floats(1, 20), st.floats(1, 20), st.floats(0, 90)),
    st.just(PixelMask(3, 4, 5, 2, (1, 3, 2, 4))),
)
DRAWINGS = st.lists(st.builds(Annotation, st.sampled_from(CLASSES[1:]), SHAPES), max_size=5).map(tuple)


def image(*annotations, searched=()):
    return AnnotatedImage("a.png", 40, 30, annotations, frozenset(searched))


def test_a_class_that_nobody_drew_is_unknown_and_not_negative():
    classes = target_map(image(PARTICLE), CLASSES)
    assert (classes == 1).sum() == 100
    assert (classes == UNKNOWN_CLASS).sum() == 40 * 30 - 100


def test_a_class_that_was_searched_for_is_negative_where_it_is_not():
    classes = target_map(image(PARTICLE, searched=["satellite"]), CLASSES)
    assert (classes == 0).sum() == 40 * 30 - 100
    nothing = target_map(image(searched=CLASSES[1:]), CLASSES)
    assert not nothing.any()
    assert (target_map(image(), CLASSES) == UNKNOWN_CLASS).all()


def test_an_erased_pixel_is_background_for_sure():
    erased = image(PARTICLE, Annotation("background", Box(4, 4, 6, 6), z_order=2))
    assert (target_map(erased, CLASSES) == 0).sum() == 4


def test_exclusive_classes_give_each_known_pixel_to_one():
    masks = one_hot(image(PARTICLE, SATELLITE), CLASSES)
    assert masks.shape == (3, 30, 40)
    assert (masks.sum(axis=0) == 1).all()
    assert masks[2, 9, 9] == 1
    assert masks[1, 9, 9] == 0
    unsure = one_hot(image(PARTICLE), CLASSES)
    assert (unsure[:, 20, 20] == UNKNOWN_CLASS).all()
    assert unsure[:, 5, 5].tolist() == [0, 1, 0]


def test_classes_that_do_not_exclude_each_other_are_known_each_by_itself():
    both = one_hot(image(PARTICLE, SATELLITE), CLASSES, exclusive=False)
    assert both[:, 9, 9].tolist() == [0, 1, 1]
    assert both[:, 20, 20].tolist() == [1, 0, 0]
    unsure = one_hot(image(PARTICLE), CLASSES, exclusive=False)
    assert unsure[:, 5, 5].tolist() == [0, 1, UNKNOWN_CLASS]
    assert unsure[:, 20, 20].tolist() == [UNKNOWN_CLASS, 0, UNKNOWN_CLASS]


def test_overlapping_instances_stay_apart_and_whole():
    stack = instance_stack(image(PARTICLE, SATELLITE), CLASSES)
    assert stack.masks.sum(axis=(1, 2)).tolist() == [100, 40]
    assert (stack.masks[0] & stack.masks[1]).sum() == 16
    assert stack.labels.tolist() == [1, 2]
    assert stack.boxes.tolist() == [[2, 3, 12, 13], [8, 8, 18, 12]]


def test_instances_without_pixels_and_background_are_left_out():
    outside = Annotation("particle", Box(100, 100, 120, 120))
    erased = Annotation("background", Box(4, 4, 6, 6))
    stack = instance_stack(image(outside, erased), CLASSES)
    assert (stack.masks.shape, stack.labels.shape, stack.boxes.shape) == ((0, 30, 40), (0,), (0, 4))


@settings(derandomize=True, deadline=None)
@given(DRAWINGS)
def test_boxes_are_tight(annotations):
    stack = instance_stack(image(*annotations), CLASSES)
    for mask, (left, top, right, bottom) in zip(stack.masks, stack.boxes.astype(int), strict=True):
        rows, columns = np.nonzero(mask)
        assert (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) == (left, top, right, bottom)


def test_mask_r_cnn_gets_the_tensors_that_torchvision_names():
    target = detection_target(image(PARTICLE, SATELLITE), CLASSES)
    assert {key: (value.dtype, tuple(value.shape)) for key, value in target.items()} == {
        "boxes": (torch.float32, (2, 4)),
        "labels": (torch.int64, (2,)),
        "masks": (torch.uint8, (2, 30, 40)),
    }


@settings(derandomize=True, deadline=None)
@given(DRAWINGS, st.integers(0, 20), st.integers(0, 30))
def test_a_window_of_a_drawing_is_the_drawing_in_a_window(annotations, top, left):
    window = (slice(top, top + 10), slice(left, left + 10))
    part = cropped(image(*annotations), window)
    whole = instance_stack(image(*annotations), CLASSES)
    inside = whole.masks[:, window[0], window[1]]
    there = inside.any(axis=(1, 2))
    assert np.array_equal(instance_stack(part, CLASSES).masks, inside[there])
    assert np.array_equal(target_map(part, CLASSES), target_map(image(*annotations), CLASSES)[window])


def test_files_of_one_image_are_merged_and_labels_renamed():
    first, second = image(Annotation("Powder", PARTICLE.shape)), image(SATELLITE, searched=["pore"])
    (together,) = merged(renamed([first], {"Powder": "particle"}), [second])
    assert together == image(PARTICLE, SATELLITE, searched=["pore"])
    with pytest.raises(AnnotationError, match=r"one size of image a\.png"):
        merged([first], [AnnotatedImage("a.png", 41, 30)])


@pytest.mark.parametrize("make", [target_map, one_hot, instance_stack, detection_target])
def test_an_unknown_label_is_refused(make):
    with pytest.raises(AnnotationError, match=r"a\.png: expected labels among background, pore"):
        make(image(PARTICLE), ("background", "pore"))


@pytest.mark.parametrize("classes", [("background",), tuple(map(str, range(256)))])
def test_too_few_and_too_many_classes_are_refused(classes):
    with pytest.raises(AnnotationError, match="1 to 254 classes"):
        target_map(image(), classes)
