"""Shapes agree with an independent reference: of 25 points in each pixel, most lie inside."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from model_library.annotations import Box, Ellipse, Polygon, Polyline, rasterise
from model_library.annotations.runs import decode_runs, encode_runs

SIDE = 160
FINE = 5
STEPS = (np.arange(SIDE * FINE) + 0.5) / FINE
X, Y = np.meshgrid(STEPS, STEPS)
FIXED = settings(derandomize=True, deadline=None, max_examples=25)
CENTRES = st.floats(60, 100)
RADII = st.floats(25, 55)
ANGLES = st.floats(-360, 360)


def by_points(inside):
    return inside.reshape(SIDE, FINE, SIDE, FINE).mean(axis=(1, 3)) > 0.5


def drawn(shape):
    canvas = np.zeros((SIDE, SIDE), dtype=bool)
    placed = rasterise(shape, canvas.shape)
    canvas[placed.window] = placed.mask
    return canvas


def overlap(first, second):
    return (first & second).sum() / (first | second).sum()


def turned_back(centre_x, centre_y, degrees):
    """Points as seen by somebody who turned with the shape: complex numbers, not the code's sums."""
    seen = ((X - centre_x) + 1j * (Y - centre_y)) * np.exp(-1j * np.deg2rad(degrees))
    return seen.real, seen.imag


def winds_round(points):
    """Whether an outline winds round each point: the angles of its edges, as seen from there, add up."""
    corners = np.array([complex(x, y) for x, y in points])
    seen = np.zeros(X.shape)
    for start, end in zip(corners, np.roll(corners, -1), strict=True):
        seen += np.angle((end - (X + 1j * Y)) / (start - (X + 1j * Y)))
    return np.abs(seen) > np.pi


@FIXED
@given(CENTRES, CENTRES, RADII, RADII, ANGLES)
def test_a_turned_ellipse_agrees(x, y, radius_x, radius_y, degrees):
    u, v = turned_back(x, y, degrees)
    expected = by_points(np.hypot(u / radius_x, v / radius_y) <= 1)
    assert overlap(drawn(Ellipse(x, y, radius_x, radius_y, degrees)), expected) >= 0.99


@FIXED
@given(CENTRES, CENTRES, RADII, RADII, ANGLES)
def test_a_turned_box_agrees(x, y, half_width, half_height, degrees):
    u, v = turned_back(x, y, degrees)
    expected = by_points((np.abs(u) <= half_width) & (np.abs(v) <= half_height))
    box = Box(x - half_width, y - half_height, x + half_width, y + half_height, degrees)
    # A side along the rows may lie on a line of centres, where rounding decides about the whole line.
    assume(abs(degrees % 90 - 45) < 44)
    assert overlap(drawn(box), expected) >= 0.99


@settings(FIXED, max_examples=12)
@given(st.lists(st.floats(25, 70), min_size=5, max_size=12), st.floats(0, 6))
def test_an_outline_with_bays_agrees(radii, start):
    angles = start + np.linspace(0, 2 * np.pi, len(radii), endpoint=False)
    points = tuple((80 + r * np.cos(a), 80 + r * np.sin(a)) for r, a in zip(radii, angles, strict=True))
    assert overlap(drawn(Polygon(points)), by_points(winds_round(points))) >= 0.99


@settings(FIXED, max_examples=12)
@given(st.floats(20, 40), ANGLES)
def test_a_wide_line_agrees(width, degrees):
    u, v = turned_back(80, 80, degrees)
    away = np.hypot(np.maximum(np.abs(u) - 50, 0), v)
    end = 50 * np.exp(1j * np.deg2rad(degrees))
    line = Polyline(((80 - end.real, 80 - end.imag), (80 + end.real, 80 + end.imag)), width)
    assert overlap(drawn(line), by_points(away <= width / 2)) >= 0.99


@pytest.mark.parametrize("degrees", [0, 17, 90])
def test_run_lengths_keep_the_agreement(degrees):
    u, v = turned_back(80, 75, degrees)
    expected = by_points(np.hypot(u / 50, v / 30) <= 1)
    mask = drawn(Ellipse(80, 75, 50, 30, degrees))
    assert overlap(decode_runs(encode_runs(mask), mask.shape), expected) >= 0.99
