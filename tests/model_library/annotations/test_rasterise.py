"""Shapes become the pixels whose centres they hold: concave, turned, overlapping, apart."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from model_library.annotations.maps import class_map, instance_map
from model_library.annotations.rasterise import rasterise
from model_library.annotations.runs import decode_runs, encode_runs, pixel_mask
from model_library.annotations.shapes import (
    AnnotatedImage,
    Annotation,
    Box,
    Ellipse,
    PixelMask,
    Polygon,
    Polyline,
)
from model_library.errors import AnnotationError

SIZE = (40, 50)
FIXED = settings(derandomize=True, deadline=None)
MASKS = arrays.arrays(bool, arrays.array_shapes(min_dims=2, max_dims=2, max_side=12))
HUNDREDTHS = st.integers(-1000, 6000)
# Off the grid of centres: whether a centre exactly on an edge is inside is a matter of rounding.
CORNERS = st.tuples(HUNDREDTHS.map(lambda x: x / 100 + 0.00371), HUNDREDTHS.map(lambda y: y / 100 + 0.00173))
OUTLINES = st.lists(CORNERS, min_size=3, max_size=9)


def drawn(shape, size=SIZE):
    canvas = np.zeros(size, dtype=bool)
    placed = rasterise(shape, size)
    canvas[placed.window] = placed.mask
    return canvas


def inside(points, x, y):
    """Even-odd rule for one point, by a ray to the right; written apart from the code under test."""
    odd = False
    for (x0, y0), (x1, y1) in zip(points, [*points[1:], points[0]], strict=True):
        if (y0 > y) != (y1 > y) and x < x0 + (y - y0) * (x1 - x0) / (y1 - y0):
            odd = not odd
    return odd


@FIXED
@given(MASKS)
def test_run_lengths_give_back_the_mask(mask):
    runs = encode_runs(mask)
    assert np.array_equal(decode_runs(runs, mask.shape), mask)
    assert all(run > 0 for run in runs[1:])


@FIXED
@given(MASKS, st.integers(0, 20), st.integers(0, 20))
def test_a_painted_mask_lies_where_it_was_painted(mask, top, left):
    canvas = np.zeros(SIZE, dtype=bool)
    canvas[top : top + mask.shape[0], left : left + mask.shape[1]] = mask
    painted = pixel_mask(mask, top, left)
    assert (painted is None) == (not mask.any())
    if painted is not None:
        assert np.array_equal(drawn(painted), canvas)


def test_runs_begin_with_the_background_and_go_row_by_row():
    mask = np.array([[True, False], [True, True]])
    assert encode_runs(mask) == (0, 1, 1, 2)
    with pytest.raises(AnnotationError, match="sum of 3 instead of 4"):
        decode_runs((1, 2), (2, 2))


@settings(FIXED, max_examples=30)
@given(OUTLINES, st.integers(0, 8), st.booleans())
def test_a_polygon_holds_the_centres_inside_it_wherever_its_outline_begins(points, start, backwards):
    expected = np.array([[inside(points, x + 0.5, y + 0.5) for x in range(50)] for y in range(40)])
    assert np.array_equal(drawn(Polygon(tuple(points))), expected)
    start %= len(points)
    turned = points[start:] + points[:start]
    again = drawn(Polygon(tuple(turned[::-1] if backwards else turned)))
    assert np.array_equal(again, expected)


def test_a_concave_outline_stays_concave():
    notched = Polygon(((0, 0), (10, 0), (10, 10), (5, 2), (0, 10)))
    mask = drawn(notched)
    assert mask[1, 5]
    assert not mask[8, 5]
    assert mask[8, 0]
    assert mask[8, 9]


def test_two_polygons_with_a_common_edge_share_no_pixel():
    left = drawn(Polygon(((2, 2), (20.3, 2), (14.7, 30), (2, 30))))
    right = drawn(Polygon(((20.3, 2), (40, 2), (40, 30), (14.7, 30))))
    assert not (left & right).any()
    assert (left | right)[2:30, 2:40].all()


def test_a_box_covers_whole_pixels_and_turns_about_its_centre():
    assert drawn(Box(3, 4, 8, 6)).sum() == 10
    upright, lying = drawn(Box(10, 15, 30, 21)), drawn(Box(17, 8, 23, 28))
    assert np.array_equal(drawn(Box(10, 15, 30, 21, rotation_deg=90)), lying)
    assert np.array_equal(drawn(Box(10, 15, 30, 21, rotation_deg=180)), upright)


def test_an_ellipse_has_its_area_and_its_rotation_is_clockwise_on_the_screen():
    flat = Ellipse(25, 20, 18, 6)
    assert drawn(flat).sum() == pytest.approx(np.pi * 18 * 6, rel=0.02)
    assert np.array_equal(drawn(Ellipse(25, 20, 18, 6, rotation_deg=90)), drawn(Ellipse(25, 20, 6, 18)))
    down_right = drawn(Ellipse(25, 20, 18, 4, rotation_deg=30))
    assert down_right[26, 35]
    assert not down_right[14, 35]


@pytest.mark.parametrize("width", [1.0, 3.0, 6.0])
def test_a_polyline_is_as_wide_as_it_says(width):
    mask = drawn(Polyline(((5, 20), (45, 20)), width), (40, 60))
    assert mask[:, 25].sum() == pytest.approx(width, abs=1)
    bent = drawn(Polyline(((5, 5), (30, 30), (45, 10)), width))
    assert bent.any(axis=1)[6:29].all()


def test_what_sticks_out_of_the_image_is_cut_off():
    for shape in (Box(-5, -5, 3, 3), Ellipse(0, 0, 5, 5), Polyline(((-9, 2), (9, 2)), 2.0)):
        assert drawn(shape)[:3, :3].any()
    for shape in (Box(60, 60, 70, 70), Ellipse(-30, -30, 5, 5), PixelMask(60, 50, 2, 1, (0, 2))):
        assert not drawn(shape).any()


def test_the_upper_shape_wins_and_a_background_shape_erases():
    shapes = (
        Annotation("grain", Box(0, 0, 20, 20), z_order=1),
        Annotation("pore", Box(5, 5, 10, 10), z_order=0),
        Annotation("pore", Box(10, 10, 15, 15), z_order=2),
        Annotation("matrix", Box(12, 12, 13, 13), z_order=3),
    )
    painted = class_map(AnnotatedImage("a.tif", 50, 40, shapes), ("matrix", "grain", "pore"))
    assert painted[7, 7] == 1
    assert painted[10, 10] == 2
    assert painted[12, 12] == 0
    assert (painted == 2).sum() == 24


def test_touching_instances_stay_apart():
    shapes = (Annotation("cell", Box(0, 0, 10, 10)), Annotation("cell", Box(10, 0, 20, 10)))
    image = AnnotatedImage("a.tif", 50, 40, shapes)
    numbers = instance_map(image)
    assert [int((numbers == number).sum()) for number in (1, 2)] == [100, 100]
    assert class_map(image, ("background", "cell")).sum() == 200


def test_an_unknown_label_is_named():
    image = AnnotatedImage("a.tif", 9, 9, (Annotation("crack", Box(0, 0, 2, 2)),))
    with pytest.raises(AnnotationError, match=r"a\.tif: expected labels among background, pore, found crack"):
        class_map(image, ("background", "pore"))
