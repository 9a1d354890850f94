"""Every image of a TIFF: pages in stacks, colour, tiles, pyramids; checked before they are decoded."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from model_library.errors import NotAnImage, UnsupportedImage
from model_library.images import directory
from model_library.images.directory import Directory, is_tiff, read_directories
from model_library.images.limits import ReadLimits, refuse_oversized_page, refuse_oversized_stack
from model_library.images.ome import ACQUISITION, OmeFacts
from model_library.images.recording import AXES, Contents, Recording, checked
from model_library.images.tiff_facts import image_rows, page_facts, undecodable, vendor_pairs
from model_library.images.tiff_pages import is_grey_ramp, read_head

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _YCBCR = 0, 1, 2, 3, 6
_SAMPLES = {_WHITE_IS_ZERO: 1, _PALETTE: 1}
_LOSSY = {6, 7, 33003, 33005, 34712, 34892, 50001, 50002}
"""Compression: the JPEG family, JPEG 2000, JPEG XR, WebP, JPEG XL."""
_DEPTHS = {1: (8, 16, 32), 2: (8, 16, 32), 3: (16, 32, 64)}
"""Sample format (unsigned, signed, floating) -> bits."""


@dataclass(frozen=True, slots=True)
class _Stack:
    """Pages alike, one after the other."""

    first: int
    pages: tuple[int, ...]


def read_tiff(path: Path, limits: ReadLimits, *, in_file: bool = False) -> Contents:
    """Read every image of a TIFF at its full resolution.

    Parameters
    ----------
    path
        Begins as `directory.is_tiff` wants it.
    limits
        What is refused before decoding.
    in_file
        As in `contents.read_contents`.

    Returns
    -------
    Contents
        Pages of one shape and dtype in a row make one recording, whose axes OME-XML or ImageJ's
        description tells ("TCZYX" less those of length 1), else "IYX". Pyramid levels, thumbnails and
        pages of a kind that cannot be used are left out.

    Raises
    ------
    ImageError
        As `contents.read_contents`.
    """
    with path.open("rb") as file:
        pages = read_directories(file, path.name, limits.max_pages)
    left_out: list[str] = []
    usable: list[int] = []
    for index, page in enumerate(pages):
        refuse_oversized_page(page, path.name, limits)
        reason = "a smaller copy" if _is_reduced(page, pages[0]) else _refusal(page)
        if reason is None:
            usable.append(index)
        else:
            left_out.append(f"page {index + 1}: {reason}")
    if not usable:
        raise UnsupportedImage(
            f"{path.name}: expected grey or RGB pages of 8 to 64 bits, found {left_out[0]}; export it as such"
        )
    refuse_oversized_stack([pages[index] for index in usable], path.name, limits)
    try:
        # Not what an OME-XML may name besides: other files of the folder.
        tiff = tifffile.TiffFile(path, _multifile=False)
    except Exception as error:
        raise undecodable(path.name, error) from error
    with tiff:
        stacks = _stacks(pages, usable)
        mapped = path if in_file and len(usable) == 1 else None
        recordings = tuple(_recording(tiff, stack, pages, path.name, mapped) for stack in stacks)
        kind = "OME-TIFF" if tiff.is_ome else "ImageJ TIFF" if tiff.is_imagej else "TIFF"
    return Contents(kind, recordings, tuple(left_out))


def first_facts(path: Path, limits: ReadLimits) -> OmeFacts:
    """Tell what the first page of a TIFF, of whatever kind, says of itself; decodes no pixels.

    Raises
    ------
    ImageError
        Not a TIFF, or a damaged one.
    """
    if not is_tiff(read_head(path)):
        raise NotAnImage(f"{path.name}: expected a TIFF, found another file; choose a TIFF")
    with path.open("rb") as file:
        read_directories(file, path.name, limits.max_pages)
    try:
        tiff = tifffile.TiffFile(path, _multifile=False)
    except Exception as error:
        raise undecodable(path.name, error) from error
    with tiff:
        return page_facts(tiff, 0, path.name)


def _refusal(page: Directory) -> str | None:
    samples, photometric = page.first(directory.SAMPLES, 1), page.first(directory.PHOTOMETRIC, 1)
    bits = set(page.tags.get(directory.BITS, (1,)))
    kind = page.first(directory.SAMPLE_FORMAT, 1)
    if kind in (5, 6):
        return "complex numbers"
    if len(bits) != 1 or not bits <= set(_DEPTHS.get(kind, ())):
        return f"{'/'.join(map(str, sorted(bits)))} bits of sample format {kind}"
    if photometric not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _YCBCR):
        return f"photometric interpretation {photometric} (neither grey nor RGB)"
    if samples > _SAMPLES.get(photometric, 4):
        return f"{samples} samples per pixel"
    if photometric == _WHITE_IS_ZERO and kind != 1:
        return "white as 0 in signed or floating numbers"
    return None


def _is_reduced(page: Directory, first: Directory) -> bool:
    if page.first(directory.SUBFILE_TYPE, 0) & 1:
        return True
    # Some writers of pyramids do not flag the levels; stacks of tiled pages are of one size.
    (height, width), (tall, wide) = page.shape, first.shape
    if directory.TILE_OFFSETS not in page.tags or not (height < tall and width < wide and height * width):
        return False
    factor = round(wide / width)
    return factor >= 2 and abs(wide / factor - width) <= 1 and abs(tall / factor - height) <= 1


def _stacks(pages: Sequence[Directory], usable: Sequence[int]) -> list[_Stack]:
    wanted = (directory.BITS, directory.SAMPLES, directory.SAMPLE_FORMAT, directory.PHOTOMETRIC)
    stacks: list[_Stack] = []
    before: object = None
    for index in usable:
        kind = pages[index].shape, *(pages[index].tags.get(tag) for tag in wanted)
        if kind == before:
            stacks[-1] = _Stack(stacks[-1].first, (*stacks[-1].pages, index))
        else:
            stacks.append(_Stack(index, (index,)))
        before = kind
    return stacks


def _recording(
    tiff: Any,  # noqa: ANN401
    stack: _Stack,
    pages: Sequence[Directory],
    name: str,
    mapped: Path | None,
) -> Recording:
    """Decode pages alike; the only one stays in the file `mapped`, where it is plain."""
    facts = page_facts(tiff, stack.first, name)
    planes = [_decoded(tiff, index, pages[index], name, mapped) for index in stack.pages]
    try:
        described = str(tiff.pages[0].description)
        compression = int(tiff.pages[stack.first].compression)
        metadata = vendor_pairs(tiff, stack.first) | facts.pairs.get(ACQUISITION, {})
        rows = image_rows(tiff, stack.first)
    except Exception as error:
        raise undecodable(name, error) from error
    order = facts.planes or _imagej_planes(described)
    samples = planes[0].shape[-1] if planes[0].ndim == 3 else 1
    # OME counts the samples of a colour image among its channels.
    planewise = [(axis, length // samples if axis == "C" else length) for axis, length in order]
    lead = tuple((axis, length) for axis, length in planewise if length > 1)
    if prod(length for _, length in lead) != len(planes):
        lead = (("I", len(planes)),) if len(planes) > 1 else ()
    inner = "YXS" if planes[0].ndim == 3 else "YX"
    stacked = np.stack(planes) if len(planes) > 1 else planes[0]
    recording = Recording(
        pixels=stacked.reshape(*(length for _, length in lead), *planes[0].shape),
        axes="".join(axis for axis, _ in lead) + inner,
        pixel_size=facts.pixel_size,
        name=f"page {stack.first + 1}" if len(stack.pages) < len(pages) else None,
        field=facts.field,
        lossy=compression in _LOSSY,
        image_rows=rows,
        metadata=metadata,
    )
    return _in_order(recording, name)


def _decoded(
    tiff: Any,  # noqa: ANN401
    index: int,
    told: Directory,
    name: str,
    mapped: Path | None,
) -> NDArray[Any]:
    """One page, axes [Y, X] or [Y, X, S]."""
    try:
        page = tiff.pages[index]
        # Other tags than the directory's (depth of a volume) may ask for more memory.
        if page.size != prod(told.shape) * told.first(directory.SAMPLES, 1) or "Z" in page.axes:
            raise UnsupportedImage(
                f"{name}: expected one plane per page, found axes {page.axes} of shape {page.shape}; "
                "export it as a stack of pages"
            )
        coloured = page.photometric == _PALETTE and not is_grey_ramp(page.colormap)
        inverted = page.photometric == _WHITE_IS_ZERO
        pixels: NDArray[Any]
        if mapped is not None and page.is_memmappable:
            stored = np.dtype(page.dtype).newbyteorder(tiff.byteorder)
            pixels = np.memmap(mapped, stored, "r", page.dataoffsets[0], page.shape)
        else:
            pixels = page.asarray(maxworkers=1)
        if page.axes == "SYX":
            pixels = np.moveaxis(pixels, 0, -1)
    except UnsupportedImage:
        raise
    except Exception as error:
        raise undecodable(name, error) from error
    if coloured:
        raise UnsupportedImage(f"{name}: expected grey, found a colour palette; export it as grey")
    return np.iinfo(pixels.dtype).max - pixels if inverted else pixels


def _imagej_planes(description: str) -> tuple[tuple[str, int], ...]:
    if not description.startswith("ImageJ="):
        return ()
    found = {
        axis: int(match.group(1))
        for axis, key in (("T", "frames"), ("Z", "slices"), ("C", "channels"))
        if (match := re.search(rf"^{key}=(\d{{1,6}})\s*$", description, re.MULTILINE))
    }
    return tuple(found.items())


def _in_order(recording: Recording, name: str) -> Recording:
    """Bring axes into the order of `AXES`: OME allows any."""
    wanted = "".join(axis for axis in AXES if axis in recording.axes)
    pixels = recording.pixels.transpose([recording.axes.index(axis) for axis in wanted])
    return checked(replace(recording, pixels=pixels, axes=wanted), name)
