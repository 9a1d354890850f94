"""Cells told apart by merging: float32 [Y, X] -> a number for each cell, float32 [Y, X].

A watershed makes far too many regions, and neighbours become one in the order of the mean height of the whole
border between them (mean agglomeration, as in Nunez-Iglesias et al. 2013, doi:10.1371/journal.pone.0071715).
A gap in a membrane hardly lowers that mean, where it would let two cells grow together that a level of grey
keeps apart.
"""

import heapq
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.baselines.denoise import geometric, smooth_gaussian
from benchmark.baselines.family import Family
from model_library.images.frame import Grey

_SIDE_AND_CORNER = np.ones((3, 3), dtype=bool)
_PAIRS = (np.s_[:-1, :], np.s_[1:, :]), (np.s_[:, :-1], np.s_[:, 1:])
"""Pixels and their neighbours below, and to the right."""


def _merged_cells(pixels: Grey, parameters: Mapping[str, float], _: int) -> Grey:
    """Flood every minimum of the smoothed image, then merge what no high border parts."""
    from scipy.ndimage import label, minimum_filter
    from skimage.segmentation import watershed

    heights = smooth_gaussian(pixels if parameters["bright"] else 1 - pixels, parameters["sigma_px"])
    seeds, _count = label(heights == minimum_filter(heights, size=3), structure=_SIDE_AND_CORNER)
    regions: NDArray[Any] = watershed(heights, seeds)  # type: ignore[no-untyped-call]
    return merged(regions, heights, parameters["level"]).astype(np.float32)


def merged(regions: NDArray[Any], heights: Grey, level: float) -> NDArray[np.intp]:
    """Merge neighbouring regions, the lowest border first, until no border's mean is at or below a level.

    Parameters
    ----------
    regions
        Numbers [Y, X] of regions, from 0.
    heights
        float32 [Y, X]; a border is as high as the higher of the two pixels that meet there.
    level
        Greatest mean height of a border that does not part cells.

    Returns
    -------
    NDArray
        For each pixel [Y, X] the number of one of the regions that have become its cell.
    """
    borders = _Borders(regions, heights)
    while (pair := borders.lowest(level)) is not None:
        borders.merge(*pair)
    cells: NDArray[np.intp] = borders.owners()[regions]
    return cells


class _Borders:
    """Which regions touch, along how many pixels, and how high these are in all."""

    def __init__(self, regions: NDArray[Any], heights: Grey) -> None:
        count = int(regions.max()) + 1
        self._of: list[dict[int, tuple[float, int]]] = [{} for _ in range(count)]
        self._owner = list(range(count))
        self._queue: list[tuple[float, int, int, int]] = []
        for one, other, total, length in _touching(regions, heights, count):
            self._put(one, other, total, length)

    def lowest(self, level: float) -> tuple[int, int] | None:
        """Take the pair of the lowest border; None where that is above the level, or there is none."""
        while self._queue:
            mean, length, one, other = heapq.heappop(self._queue)
            if mean > level:
                return None
            # Borders that have grown, or whose region is gone, are in the queue once more.
            if self._of[one].get(other, (0.0, 0))[1] == length:
                return one, other
        return None

    def merge(self, one: int, other: int) -> None:
        """Give the region of fewer neighbours to the other; borders to a common neighbour become one."""
        kept, gone = (one, other) if len(self._of[one]) >= len(self._of[other]) else (other, one)
        self._owner[gone] = kept
        for neighbour, (total, length) in self._of[gone].items():
            del self._of[neighbour][gone]
            if neighbour != kept:
                before = self._of[kept].get(neighbour, (0.0, 0))
                self._put(kept, neighbour, before[0] + total, before[1] + length)
        self._of[gone] = {}

    def owners(self) -> NDArray[np.intp]:
        """For each region the one that it has become part of."""
        for region in range(len(self._owner)):
            last = region
            while self._owner[last] != last:
                last = self._owner[last]
            self._owner[region] = last
        return np.asarray(self._owner, dtype=np.intp)

    def _put(self, one: int, other: int, total: float, length: int) -> None:
        self._of[one][other] = self._of[other][one] = (total, length)
        heapq.heappush(self._queue, (total / length, length, one, other))


def _touching(regions: NDArray[Any], heights: Grey, count: int) -> list[tuple[int, int, float, int]]:
    """List (region, greater region, sum of heights, pixels) of all regions that touch along a side."""
    pairs: list[NDArray[np.int64]] = []
    highest: list[Grey] = []
    for here, there in _PAIRS:
        first, second = regions[here].astype(np.int64), regions[there].astype(np.int64)
        meet = first != second
        pairs.append((np.minimum(first, second) * count + np.maximum(first, second))[meet])
        highest.append(np.maximum(heights[here], heights[there])[meet])
    known, place = np.unique(np.concatenate(pairs), return_inverse=True)
    totals = np.bincount(place, np.concatenate(highest), len(known))
    lengths = np.bincount(place, minlength=len(known))
    columns = (known // count, known % count, totals, lengths)
    return list(zip(*(column.tolist() for column in columns), strict=True))


MERGED_CELLS = Family(
    "merged-cells",
    _merged_cells,
    {
        "bright": (0.0, 1.0),
        "sigma_px": geometric(0.5, 6.0, 8),
        "level": tuple(round(0.05 * step, 2) for step in range(1, 20)),
    },
    {"bright": 1.0, "sigma_px": geometric(0.5, 6.0, 8)[3], "level": 0.5},
    labels=True,
)
