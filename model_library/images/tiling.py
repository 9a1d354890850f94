"""A large image as overlapping windows whose cores partition it."""

from dataclasses import dataclass
from itertools import product

Slices = tuple[slice, slice]


@dataclass(frozen=True, slots=True)
class Tile:
    """One window to process and the part of it to keep; slices are (Y, X), in pixels.

    Attributes
    ----------
    core
        Where the kept part lies in the image.
    window
        What is processed, in the image: the core and its halo.
    inner
        Where the kept part lies in the window.
    """

    core: Slices
    window: Slices
    inner: Slices

    def scaled(self, factor: int) -> "Tile":
        """Give the same tile in an output with `factor` pixels per input pixel along each axis."""
        return Tile(_times(self.core, factor), _times(self.window, factor), _times(self.inner, factor))


def plan_tiles(
    shape: tuple[int, int], tile: int | tuple[int, int], halo: int, stride: int
) -> tuple[Tile, ...]:
    """Cover an image with windows whose cores partition it.

    A core is at least `halo` away from every edge of its window that is not an edge of the image.
    Windows start at multiples of `stride`, so that the pooling grid of a network agrees with that
    on the whole image. They are equal where the image's side is a multiple of `stride` after the
    last start; else the last one of an axis is longer by less than `stride`. Along an axis not
    longer than `tile` there is one window.

    Parameters
    ----------
    shape
        [Y, X] of the image, pixels, each >= 1.
    tile
        Side of a window, or its height and width, pixels.
    halo
        Context around a core, pixels, >= 0.
    stride
        What window starts are multiples of, pixels, >= 1.

    Raises
    ------
    ValueError
        The halo leaves no core of at least one stride.
    """
    sides = (tile, tile) if isinstance(tile, int) else tile
    if min(shape) < 1 or halo < 0 or stride < 1 or min(sides) - 2 * halo < stride:
        raise ValueError(
            f"expected a tile of at least 2 * halo + stride = {2 * halo + stride} pixels on an image with "
            f"pixels, found tile {tile}, shape {shape}; enlarge the tile"
        )
    rows, columns = (_spans(length, side, halo, stride) for length, side in zip(shape, sides, strict=True))
    return tuple(_tile(row, column) for row, column in product(rows, columns))


def even_side(length: int, most: int, halo: int, stride: int) -> int:
    """Give the smallest side with which as few windows as with the side `most` cover an axis.

    Windows of the side `most` would overlap more than their halos demand, which is computed for nothing.

    Parameters
    ----------
    length
        Of the axis, pixels.
    most
        Greatest side, pixels, at least `2 * halo + stride`.
    halo
        Context around a core, pixels.
    stride
        What the side is a multiple of, unless one window covers the axis: then it is at least the length.
    """
    if length <= most:
        return max(length, 2 * halo + stride)
    windows = -(-(length - 2 * halo) // (most - 2 * halo))
    even = -(-(length + 2 * halo * (windows - 1)) // windows)
    return min(most, -(-even // stride) * stride)


Span = tuple[slice, slice]
"""Core and window along one axis."""


def _spans(length: int, tile: int, halo: int, stride: int) -> list[Span]:
    if length <= tile:
        return [(slice(0, length), slice(0, length))]
    step = (tile - 2 * halo) // stride * stride
    last = (length - tile) // stride * stride
    spans: list[Span] = []
    begin = 0
    for start in range(0, last, step):
        end = start + halo + step
        spans.append((slice(begin, end), slice(start, start + tile)))
        begin = end
    return [*spans, (slice(begin, length), slice(last, length))]


def _tile(row: Span, column: Span) -> Tile:
    inner = tuple(
        slice(core.start - window.start, core.stop - window.start) for core, window in (row, column)
    )
    return Tile(core=(row[0], column[0]), window=(row[1], column[1]), inner=(inner[0], inner[1]))


def _times(slices: Slices, factor: int) -> Slices:
    rows, columns = (slice(part.start * factor, part.stop * factor) for part in slices)
    return rows, columns
