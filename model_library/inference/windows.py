"""A plane computed in equal windows whose seams do not show; needs no torch.

Windows overlap by the receptive radius rounded up to the stride and start on the pooling grid, so that
each kept pixel is, bit for bit, what the whole image in one piece would have given.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from model_library.images.tiling import Slices, Tile, even_side, plan_tiles
from model_library.inference.backends.port import Backend, OutOfMemory, Windows
from model_library.inference.geometry import Geometry

TILE_PX = 512

Channels = NDArray[np.float32]
"""float32 [C, Y, X], unit scaled."""

Told = Callable[[int], None]
"""Told how many pixels of the input are done more."""


@dataclass(frozen=True, slots=True)
class Plane:
    """An image and the place of its result, wherever both lie.

    Attributes
    ----------
    shape
        [Y, X] of the input, pixels.
    read
        Gives a part of the input, [C, Y, X]; the slices lie inside the image.
    write
        Takes a part of the output: where it lies in it, and its pixels [C', Y, X], which do not outlive
        the call.
    """

    shape: tuple[int, int]
    read: Callable[[Slices], Channels]
    write: Callable[[Slices, Channels], None]


@dataclass(frozen=True, slots=True)
class Tiling:
    """How an image is cut up.

    Attributes
    ----------
    tile_px
        Side, in input pixels, of the square that no window exceeds in area; enlarged where a network's
        receptive field leaves no core. Larger ones waste less on halos and need more memory.
    batch
        Windows computed at once.
    """

    tile_px: int = TILE_PX
    batch: int = 1


def compute(
    plane: Plane, backend: Backend, geometry: Geometry, tiling: Tiling, told: Told = lambda _: None
) -> Tiling:
    """Compute a plane window by window; where memory is short, in smaller windows from there on.

    Sides that are no multiples of the stride are extended by their edge pixels, and cut back.

    Returns
    -------
    The tiling that was possible in the end: the next plane had better begin with it.

    Raises
    ------
    OutOfMemory
        Not even the smallest windows fit.
    """
    done_rows = 0
    while True:
        todo = [tile for tile in plan(plane.shape, geometry, tiling) if tile.core[0].stop > done_rows]
        try:
            for tiles in _computed(plane, backend, geometry, _batches(todo, tiling.batch)):
                done_rows = max(done_rows, *(tile.core[0].start for tile in tiles))
                told(sum(_area(tile) for tile in tiles))
            return tiling
        except OutOfMemory:
            if tiling.batch == 1 and tiling.tile_px <= geometry.least_tile_px:
                raise
            smaller = max(geometry.least_tile_px, tiling.tile_px // 2)
            tiling = Tiling(tiling.tile_px if tiling.batch > 1 else smaller, max(1, tiling.batch // 2))


def computed(image: Channels, backend: Backend, geometry: Geometry, tiling: Tiling) -> Channels:
    """Compute an image in memory, [C, Y, X] -> [C', Y * scale, X * scale]; otherwise as `compute`."""
    height, width = image.shape[1:]
    result = np.empty((geometry.out_channels, height * geometry.scale, width * geometry.scale), np.float32)

    def write(part: Slices, pixels: Channels) -> None:
        result[(slice(None), *part)] = pixels

    plane = Plane((height, width), lambda part: image[(slice(None), *part)], write)
    compute(plane, backend, geometry, tiling)
    return result


def plan(shape: tuple[int, int], geometry: Geometry, tiling: Tiling) -> tuple[Tile, ...]:
    """Cut a plane, extended to multiples of the stride, into windows of one size, in all the smallest."""
    padded = geometry.rounded_up(shape[0]), geometry.rounded_up(shape[1])
    most = max(geometry.rounded_up(tiling.tile_px), geometry.least_tile_px)

    def along(length: int, side: int) -> int:
        """Pixels that windows of this side compute along an axis."""
        return (
            side if length <= side else side * -(-(length - 2 * geometry.halo) // (side - 2 * geometry.halo))
        )

    sides = min(
        _sizes(padded, geometry, most),
        key=lambda sides: along(padded[0], sides[0]) * along(padded[1], sides[1]),
    )
    return plan_tiles(padded, sides, geometry.halo, geometry.stride)


def _sizes(shape: tuple[int, int], geometry: Geometry, most: int) -> Iterator[tuple[int, int]]:
    """Give heights and widths of windows with the area of a square, as even as the plane allows.

    A window as wide as the plane has no halo to its left and right: what a long window needs less of
    memory in height may be worth it.
    """
    halo, stride, width = geometry.halo, geometry.stride, shape[1]
    while True:
        even = even_side(shape[1], width, halo, stride)
        height = most * most // even // stride * stride
        if height >= geometry.least_tile_px or even <= most:
            yield even_side(shape[0], max(height, geometry.least_tile_px), halo, stride), even
        if even <= most:
            return
        width = min(even - stride, shape[1])


def _batches(tiles: Sequence[Tile], batch: int) -> list[tuple[Tile, ...]]:
    """Group tiles of one row, whose windows are equal, by so many."""
    rows = [list(row) for _, row in groupby(tiles, key=lambda tile: tile.core[0].start)]
    return [tuple(row[at : at + batch]) for row in rows for at in range(0, len(row), batch)]


def _computed(
    plane: Plane, backend: Backend, geometry: Geometry, batches: Sequence[tuple[Tile, ...]]
) -> Iterator[tuple[Tile, ...]]:
    """Read, compute and write batch by batch; at once where another device computes."""
    if not backend.elsewhere:
        for tiles in batches:
            _write(plane, geometry, tiles, backend(_read(plane, tiles)))
            yield tiles
        return
    with ThreadPoolExecutor(1) as reading, ThreadPoolExecutor(1) as writing:
        windows = [reading.submit(_read, plane, tiles) for tiles in batches[:1]]
        written = writing.submit(lambda: None)
        for number, tiles in enumerate(batches):
            windows += [reading.submit(_read, plane, after) for after in batches[number + 1 : number + 2]]
            result = backend(windows.pop(0).result())
            written.result()
            # The next call may overwrite what this one gave.
            written = writing.submit(_write, plane, geometry, tiles, result.copy())
            yield tiles
        written.result()


def _read(plane: Plane, tiles: Sequence[Tile]) -> Windows:
    if len(tiles) == 1:
        return np.ascontiguousarray(_window(plane, tiles[0].window)[None], np.float32)
    return np.ascontiguousarray(np.stack([_window(plane, tile.window) for tile in tiles]), np.float32)


def _window(plane: Plane, window: Slices) -> Channels:
    inside = (
        slice(window[0].start, min(window[0].stop, plane.shape[0])),
        slice(window[1].start, min(window[1].stop, plane.shape[1])),
    )
    pixels = plane.read(inside)
    below, beside = window[0].stop - inside[0].stop, window[1].stop - inside[1].stop
    if not below and not beside:
        return pixels
    return np.pad(pixels, ((0, 0), (0, below), (0, beside)), mode="edge")


def _write(plane: Plane, geometry: Geometry, tiles: Sequence[Tile], results: Windows) -> None:
    height, width = (side * geometry.scale for side in plane.shape)
    for tile, result in zip(tiles, results, strict=True):
        coarse = tile.scaled(geometry.scale)
        pixels = result[(slice(None), *coarse.inner)]
        rows, columns = coarse.core
        kept = slice(rows.start, min(rows.stop, height)), slice(columns.start, min(columns.stop, width))
        plane.write(kept, pixels[:, : kept[0].stop - rows.start, : kept[1].stop - columns.start])


def _area(tile: Tile) -> int:
    rows, columns = tile.core
    area: int = (rows.stop - rows.start) * (columns.stop - columns.start)
    return area
