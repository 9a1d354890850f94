"""How two label images share the pixels: the table from which partitions and objects are compared."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.errors import UnfitImages

_MOST_CELLS = 1 << 24
"""Cells up to which the table is counted as a whole; larger ones are counted by sorting what occurs."""

Labels = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Contingency:
    """Pixels of every pair of labels that share any.

    Attributes
    ----------
    a, b
        int64 [P], the two labels of each pair, sorted by a, then by b; 0 is background.
    pixels
        int64 [P], pixels that the pair shares, at least 1.
    """

    a: NDArray[np.int64]
    b: NDArray[np.int64]
    pixels: NDArray[np.int64]

    @property
    def areas_a(self) -> NDArray[np.int64]:
        """Pixels of every label of the first image, int64 [largest label + 1]."""
        return _total(self.a, self.pixels)

    @property
    def areas_b(self) -> NDArray[np.int64]:
        """Pixels of every label of the second image, int64 [largest label + 1]."""
        return _total(self.b, self.pixels)

    def where(self, kept: NDArray[np.bool_]) -> "Contingency":
        """Only some of the pairs."""
        return Contingency(self.a[kept], self.b[kept], self.pixels[kept])


def contingency(a: Labels, b: Labels) -> Contingency:
    """Count the pixels of every pair of labels, run by run along the rows: neighbours are mostly alike.

    Parameters
    ----------
    a, b
        Labels [Y, X], whole numbers >= 0 of any dtype. Where a number exceeds the image's pixels, the labels
        are numbered anew in their order; 0 stays.

    Raises
    ------
    UnfitImages
        The images differ in shape.
    """
    if a.shape != b.shape:
        raise UnfitImages(f"expected two label images of one shape, found {a.shape} and {b.shape}")
    rows, columns = np.ravel(a), np.ravel(b)
    if not rows.size:
        nothing = np.zeros(0, dtype=np.int64)
        return Contingency(nothing, nothing, nothing)
    starts = np.empty(rows.size, dtype=bool)
    starts[0] = True
    np.not_equal(rows[1:], rows[:-1], out=starts[1:])
    starts[1:] |= columns[1:] != columns[:-1]
    at = np.flatnonzero(starts)
    lengths = np.diff(at, append=rows.size)
    return _added_up(_numbered(rows[at], rows.size), _numbered(columns[at], rows.size), lengths)


def _numbered(labels: Labels, most: int) -> NDArray[np.int64]:
    numbers = labels.astype(np.int64)
    if numbers.max() <= most:
        return numbers
    _, ranks = np.unique(np.append(numbers, 0), return_inverse=True)
    return np.asarray(ranks[:-1], dtype=np.int64)


def _added_up(a: NDArray[np.int64], b: NDArray[np.int64], lengths: NDArray[np.int64]) -> Contingency:
    height, width = int(a.max()) + 1, int(b.max()) + 1
    if height * width <= _MOST_CELLS:
        cells = np.bincount(a * width + b, lengths, minlength=height * width)
        occurring = np.flatnonzero(cells)
        return Contingency(occurring // width, occurring % width, cells[occurring].astype(np.int64))
    order = np.lexsort((b, a))
    a, b, lengths = a[order], b[order], lengths[order]
    first = np.flatnonzero(np.diff(a, prepend=-1) | np.diff(b, prepend=-1))
    return Contingency(a[first], b[first], np.add.reduceat(lengths, first))


def _total(labels: NDArray[np.int64], pixels: NDArray[np.int64]) -> NDArray[np.int64]:
    # Sums of whole numbers below 2^53 are exact in double precision.
    return np.bincount(labels, pixels).astype(np.int64)
