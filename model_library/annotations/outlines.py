"""Geometry of outlines: where they cross themselves, their convex hull."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from model_library.annotations.rasterise import Placed
from model_library.annotations.shapes import Point


def crossing(points: Sequence[Point]) -> Point | None:
    """Find a place (x, y) where a closed outline crosses itself; None where it does not.

    Corners that merely touch another part of the outline do not cross it.
    """
    corners = np.array(points, dtype=np.float64)
    starts, ends = corners, np.roll(corners, -1, axis=0)
    for number in range(len(corners) - 2):
        start, along = starts[number], ends[number] - starts[number]
        others = slice(number + 2, None)
        first, second = _cross(along, starts[others] - start), _cross(along, ends[others] - start)
        across = ends[others] - starts[others]
        third = _cross(across, start - starts[others])
        fourth = _cross(across, ends[number] - starts[others])
        found = np.flatnonzero((first * second < 0) & (third * fourth < 0))
        if found.size:
            share = third[found[0]] / (third[found[0]] - fourth[found[0]])
            x, y = start + share * along
            return float(x), float(y)
    return None


def convex_hull(points: Sequence[Point]) -> tuple[Point, ...]:
    """Corners of the smallest convex outline round points, in one sense of rotation (Andrew 1979)."""
    ordered = sorted(set(points))
    if len(ordered) < 3:
        return tuple(ordered)
    lower, upper = _half_hull(ordered), _half_hull(ordered[::-1])
    return (*lower[:-1], *upper[:-1])


def pixel_corners(placed: Placed) -> tuple[Point, ...]:
    """Outer corners of the first and the last pixel of every row of a mask, enough for its convex hull."""
    rows = np.flatnonzero(placed.mask.any(axis=1))
    first = placed.left + placed.mask[rows].argmax(axis=1)
    last = placed.left + placed.mask.shape[1] - placed.mask[rows, ::-1].argmax(axis=1)
    tops = placed.top + rows
    sides = [
        (float(x), float(y + down))
        for xs in (first, last)
        for x, y in zip(xs, tops, strict=True)
        for down in (0, 1)
    ]
    return tuple(sides)


def _cross(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0])


def _half_hull(ordered: Sequence[Point]) -> list[Point]:
    hull: list[Point] = []
    for point in ordered:
        while len(hull) > 1 and _turn(hull[-2], hull[-1], point) <= 0:
            hull.pop()
        hull.append(point)
    return hull


def _turn(a: Point, b: Point, c: Point) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
