"""Which squares of an image are used."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from benchmark.real.sources import Part

Window = tuple[slice, slice]
"""Rows and columns."""

_Item = TypeVar("_Item")


def windows(
    shape: tuple[int, int], side_px: int, count: int, rng: np.random.Generator, half: Part | None = None
) -> tuple[Window, ...]:
    """Choose windows that do not overlap, in the order in which they lie.

    Parameters
    ----------
    shape
        [Y, X] of the image, pixels.
    side_px
        Of a window; along a shorter axis the whole length is taken.
    count
        At most so many.
    rng
        Chooses among the squares of a grid.
    half
        Of a place that serves both parts: the left half for tuning, the right one is scored.
    """
    height, width = shape
    left, right = {None: (0, width), Part.TUNING: (0, width // 2), Part.SCORED: (width // 2, width)}[half]
    rows, columns = _starts(0, height, side_px), _starts(left, right, side_px)
    grid = [(top, first) for top in rows for first in columns]
    chosen = sorted(rng.choice(len(grid), min(count, len(grid)), replace=False).tolist())
    return tuple(
        (
            slice(grid[number][0], min(grid[number][0] + side_px, height)),
            slice(grid[number][1], min(grid[number][1] + side_px, right)),
        )
        for number in chosen
    )


def spread(items: Sequence[_Item], most: int) -> tuple[_Item, ...]:
    """Take at most so many items, evenly spread."""
    if len(items) <= most:
        return tuple(items)
    places = np.linspace(0, len(items) - 1, most).round().astype(int)
    return tuple(items[place] for place in places.tolist())


def _starts(begin: int, end: int, side: int) -> list[int]:
    """Place the squares that fit between two ends, centred."""
    count = max(1, (end - begin) // side)
    margin = max(0, end - begin - count * side) // 2
    return [begin + margin + number * side for number in range(count)]
