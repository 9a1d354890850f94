"""Run lengths of a mask: as CVAT writes them, row by row, and as COCO does, column by column."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from model_library.annotations.shapes import PixelMask
from model_library.errors import AnnotationError

Mask = NDArray[np.bool_]


def encode_runs(mask: Mask) -> tuple[int, ...]:
    """Run lengths of a mask [Y, X], alternating, background first (0 where it begins inside)."""
    flat = mask.ravel()
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    runs = np.diff(np.concatenate(([0], changes, [flat.size])))
    lengths = tuple(int(run) for run in runs)
    return (0, *lengths) if flat.size and flat[0] else lengths


def decode_runs(runs: Sequence[int], shape: tuple[int, int]) -> Mask:
    """Turn run lengths back into the mask [Y, X] of this shape.

    Raises
    ------
    AnnotationError
        The runs do not fill the shape, or one is negative.
    """
    size = shape[0] * shape[1]
    if any(run < 0 for run in runs) or sum(runs) != size:
        raise AnnotationError(
            f"expected run lengths that fill {shape[1]} x {shape[0]} pixels, found a sum of {sum(runs)} "
            f"instead of {size}; export the annotations again"
        )
    values = np.arange(len(runs)) % 2 == 1
    return np.repeat(values, np.asarray(runs, dtype=np.int64)).reshape(shape)


def decode_columns(runs: Sequence[int], shape: tuple[int, int]) -> Mask:
    """Turn run lengths of COCO, column by column, background first, into the mask [Y, X] of this shape.

    Raises
    ------
    AnnotationError
        As `decode_runs`.
    """
    return decode_runs(runs, shape[::-1]).T


def expand_runs(packed: str) -> tuple[int, ...]:
    """Read the characters in which COCO packs run lengths.

    Each run is a signed number in groups of five bits, the least first; bit 5 of a group says that more
    follow, bit 4 of the last one is the sign, and 48 is added to each. From the fourth run on, the number is
    the difference to the run before the last.

    Raises
    ------
    AnnotationError
        Other characters, a number that does not end, or one too long.
    """
    runs: list[int] = []
    value, shift = 0, 0
    for character in packed:
        group = ord(character) - 48
        if not 0 <= group < 64 or shift > 60:
            raise AnnotationError(
                f"expected packed run lengths of COCO, found {character!r}; export the annotations again"
            )
        value |= (group & 31) << shift
        shift += 5
        if group & 32:
            continue
        if group & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value, shift = 0, 0
    if shift:
        raise AnnotationError(
            "expected packed run lengths of COCO, found an end amid a number; export the annotations again"
        )
    return tuple(runs)


def pixel_mask(mask: Mask, top: int = 0, left: int = 0) -> PixelMask | None:
    """Describe a mask [Y, X] by the runs of its bounding box; None for an empty one.

    Parameters
    ----------
    mask
        Any mask.
    top, left
        Where its first pixel lies in the image.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return None
    inner = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return PixelMask(
        left=left + int(columns[0]),
        top=top + int(rows[0]),
        width=inner.shape[1],
        height=inner.shape[0],
        runs=encode_runs(inner),
    )
