"""Real micrographs cut to frames, in the order in which a microscope acquires them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from simulations.scenario import Crop

SLICES_PER_FIELD = 10
"""Neighbouring slices of a stack show the same: ten are one field, and the next ten are left out."""


@dataclass(frozen=True, slots=True)
class Micrograph:
    """One file: the shapes [Y, X] of its pages, their pixel size in nm, and the file with its truth."""

    path: Path
    pages: tuple[tuple[int, int], ...]
    pixel_size_nm: float | None
    truth: Path | None


def lay_out(micrographs: Sequence[Micrograph], *, side: int, multiple: int, smallest: int) -> list[Crop]:
    """Cut frames that do not overlap, fields taken in turn, so that the first images show many fields.

    Parameters
    ----------
    micrographs
        A quarter of a micrograph is one field: the stage moved on by half an image. A run of
        neighbouring slices of a stack is one field.
    side
        Side of a crop in px of the file; a smaller file is one crop.
    multiple
        Sides are cut to a multiple of this, so that blocks of pixels can be averaged.
    smallest
        Smaller crops are left out.
    """
    per_field: dict[str, list[Crop]] = {}
    for image in micrographs:
        for crop in _crops_of(image, side, multiple):
            if min(crop.height, crop.width) >= smallest:
                per_field.setdefault(crop.field, []).append(crop)
    turns = zip_longest(*per_field.values())
    return [crop for turn in turns for crop in turn if crop is not None]


def _crops_of(image: Micrograph, side: int, multiple: int) -> Iterator[Crop]:
    for page, (rows, columns) in enumerate(image.pages):
        run, odd = divmod(page // SLICES_PER_FIELD, 2)
        if odd:
            continue
        height, width = (min(side, length) // multiple * multiple for length in (rows, columns))
        if not min(height, width):
            continue
        for y in range(0, rows - height + 1, height):
            for x in range(0, columns - width + 1, width):
                yield Crop(
                    file=image.path,
                    page=page,
                    y=y,
                    x=x,
                    height=height,
                    width=width,
                    field=_field(image, run, lower=2 * y + height > rows, right=2 * x + width > columns),
                    truth=image.truth,
                )


def _field(image: Micrograph, run: int, *, lower: bool, right: bool) -> str:
    """Name the field of view of a crop by the half, in Y and in X, that holds its centre."""
    if len(image.pages) > 1:
        return f"{image.path.stem}-run{run}"
    return f"{image.path.stem}-{'lower' if lower else 'upper'}-{'right' if right else 'left'}"
