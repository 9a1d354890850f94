"""From shapes to pixels: a pixel belongs to a shape if its centre does."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from model_library.annotations.runs import Mask, decode_runs
from model_library.annotations.shapes import Box, Ellipse, PixelMask, Point, Polygon, Polyline, Shape


@dataclass(frozen=True, slots=True)
class Placed:
    """The part of an image that a shape touches.

    Attributes
    ----------
    top, left
        Where `mask` lies in the image.
    mask
        bool [Y, X]; possibly without any pixel.
    """

    top: int
    left: int
    mask: Mask

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of the image that `mask` covers."""
        height, width = self.mask.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)


def rasterise(shape: Shape, size: tuple[int, int]) -> Placed:
    """Find the pixels of a shape, clipped to an image of `size` [Y, X]."""
    match shape:
        case Polygon():
            return _polygon(shape.points, size)
        case Box():
            return _polygon(_corners(shape), size)
        case Polyline():
            return _polyline(shape, size)
        case Ellipse():
            return _ellipse(shape, size)
        case PixelMask():
            return _clipped(shape, size)
        case _:
            assert_never(shape)


def _polygon(points: Sequence[Point], size: tuple[int, int]) -> Placed:
    """Even-odd rule: each edge toggles every pixel of its rows to the right of it."""
    placed = _window(points, 0.0, size)
    height, width = placed.mask.shape
    toggles = np.zeros((height, width + 1), dtype=np.int32)
    for (x0, y0), (x1, y1) in zip(points, (*points[1:], points[0]), strict=True):
        if y0 == y1:
            continue
        # Half open in y, so that a corner on a row of centres counts once.
        first, last = sorted((_first_centre(y0), _first_centre(y1)))
        rows = np.arange(max(first, placed.top), min(last, placed.top + height))
        crossing = x0 + (rows + 0.5 - y0) * ((x1 - x0) / (y1 - y0))
        columns = np.clip(np.ceil(crossing - 0.5) - placed.left, 0, width).astype(np.int64)
        np.add.at(toggles, (rows - placed.top, columns), 1)
    inside = np.cumsum(toggles, axis=1)[:, :width] % 2 == 1
    return Placed(placed.top, placed.left, inside)


def _first_centre(edge: float) -> int:
    """Find the first row (or column) whose centre is at or behind an edge."""
    return math.ceil(edge - 0.5)


def _corners(box: Box) -> tuple[Point, ...]:
    centre_x, centre_y = (box.left + box.right) / 2, (box.top + box.bottom) / 2
    cosine, sine = _turn(box.rotation_deg)
    corners = ((box.left, box.top), (box.right, box.top), (box.right, box.bottom), (box.left, box.bottom))
    if not box.rotation_deg:
        return corners
    return tuple(
        (
            centre_x + (x - centre_x) * cosine - (y - centre_y) * sine,
            centre_y + (x - centre_x) * sine + (y - centre_y) * cosine,
        )
        for x, y in corners
    )


def _polyline(line: Polyline, size: tuple[int, int]) -> Placed:
    placed = _window(line.points, line.width_px / 2, size)
    for start, end in zip(line.points[:-1], line.points[1:], strict=True):
        near = _near_segment(start, end, line.width_px / 2, size)
        rows, columns = near.window
        inner = (
            slice(rows.start - placed.top, rows.stop - placed.top),
            slice(columns.start - placed.left, columns.stop - placed.left),
        )
        placed.mask[inner] |= near.mask
    return placed


def _near_segment(start: Point, end: Point, reach: float, size: tuple[int, int]) -> Placed:
    (x0, y0), (x1, y1) = start, end
    placed = _window((start, end), reach, size)
    x, y = _centres(placed)
    along_x, along_y = x1 - x0, y1 - y0
    length = along_x**2 + along_y**2
    share = ((x - x0) * along_x + (y - y0) * along_y) / length if length else np.zeros_like(x + y)
    share = np.clip(share, 0, 1)
    away = np.hypot(x - x0 - share * along_x, y - y0 - share * along_y)
    return Placed(placed.top, placed.left, away <= reach)


def _ellipse(ellipse: Ellipse, size: tuple[int, int]) -> Placed:
    reach = max(ellipse.radius_x, ellipse.radius_y)
    placed = _window([(ellipse.centre_x, ellipse.centre_y)], reach, size)
    x, y = _centres(placed)
    x, y = x - ellipse.centre_x, y - ellipse.centre_y
    cosine, sine = _turn(ellipse.rotation_deg)
    u, v = x * cosine + y * sine, y * cosine - x * sine
    inside = (u / ellipse.radius_x) ** 2 + (v / ellipse.radius_y) ** 2 <= 1
    return Placed(placed.top, placed.left, inside)


def _clipped(painted: PixelMask, size: tuple[int, int]) -> Placed:
    mask = decode_runs(painted.runs, (painted.height, painted.width))
    top, left = max(painted.top, 0), max(painted.left, 0)
    rows = slice(top - painted.top, max(size[0] - painted.top, 0))
    kept = mask[rows, left - painted.left : max(size[1] - painted.left, 0)]
    return Placed(top, left, kept)


def _turn(degrees: float) -> tuple[float, float]:
    return math.cos(math.radians(degrees)), math.sin(math.radians(degrees))


def _window(points: Sequence[Point], margin: float, size: tuple[int, int]) -> Placed:
    """Make an empty mask over the part of the image that could be touched."""
    xs, ys = [x for x, _ in points], [y for _, y in points]
    top, left = max(math.floor(min(ys) - margin), 0), max(math.floor(min(xs) - margin), 0)
    bottom = min(math.ceil(max(ys) + margin), size[0])
    right = min(math.ceil(max(xs) + margin), size[1])
    return Placed(top, left, np.zeros((max(bottom - top, 0), max(right - left, 0)), dtype=bool))


def _centres(placed: Placed) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """X [1, X] and y [Y, 1] of the pixel centres."""
    height, width = placed.mask.shape
    columns, rows = np.arange(width, dtype=np.float64), np.arange(height, dtype=np.float64)
    return columns[None, :] + (placed.left + 0.5), rows[:, None] + (placed.top + 0.5)
