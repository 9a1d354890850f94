"""Arrays that lie in a file, of which only what is being worked on needs memory."""

import mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray

_ROWS_AT_ONCE = 512


def extremes(pixels: NDArray[Any]) -> tuple[float, float]:
    """Find the smallest and the largest value of an image [Y, X]; a mapped one takes memory of a few rows."""
    low, high = float("inf"), float("-inf")
    for top in range(0, pixels.shape[0], _ROWS_AT_ONCE):
        part = pixels[top : top + _ROWS_AT_ONCE]
        low, high = min(low, float(part.min())), max(high, float(part.max()))
        release(part)
    return low, high


def release(array: NDArray[Any]) -> None:
    """Let go of the memory that a mapped array took; its pixels stay in the file. Others are left alone.

    Without it, an image that was read once would count as memory of the process until the end.
    """
    base: Any = array
    while isinstance(base, np.ndarray):
        base = base.base
    # Windows has no such advice, and trims the pages of a process by itself.
    if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED") and hasattr(base, "madvise"):
        base.madvise(mmap.MADV_DONTNEED)
