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
        One micrograph is one field; so is a run of neighbouring slices of a stack.
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
                    field=image.path.stem if len(image.pages) == 1 else f"{image.path.stem}-run{run}",
                    truth=image.truth,
                )
