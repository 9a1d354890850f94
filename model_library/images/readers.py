"""Images in: grey 2-D TIFF from instruments, PNG and JPEG from folders of micrographs.

Size, pages and the place of every strip are checked before a decoder sees the file.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from model_library.errors import NotAnImage, UnsupportedImage
from model_library.images.data_bar import data_bar
from model_library.images.frame import Frame
from model_library.images.limits import DEFAULT_LIMITS, ReadLimits
from model_library.images.ome import PROVENANCE
from model_library.images.raster import decode_raster, is_raster
from model_library.images.tiff_contents import first_facts
from model_library.images.tiff_pages import TiffPages, read_head

__all__ = ["ReadLimits", "read_frame", "read_micrograph", "read_provenance", "read_stack"]


def read_frame(path: Path, limits: ReadLimits = DEFAULT_LIMITS, *, in_file: bool = False) -> Frame:
    """Read an acquired image: a TIFF with one grey page of uint8, uint16 or float32.

    Parameters
    ----------
    path
        The file.
    limits
        What is refused before decoding.
    in_file
        Leave the pixels in the file where it is plain (`mapping.release` frees what was touched): nobody
        may overwrite it meanwhile.

    Returns
    -------
    Frame
        Pixels as stored, less the rows of a data bar; pixel size from OME-XML, vendor tags,
        description or resolution tags; field from the OME stage label; metadata from pairs in our
        acquisition namespace.

    Raises
    ------
    EmptyImage
        No bytes.
    NotAnImage
        Not a TIFF, or a damaged one.
    TruncatedImage
        The file ends too early.
    UnsupportedImage
        Colour, several pages, another dtype, or too large.
    NonFinitePixels
        NaN or infinity among the pixels.
    OSError
        The file cannot be read at all.
    """
    with TiffPages(path, limits) as pages:
        if len(pages) != 1:
            raise UnsupportedImage(
                f"{path.name}: expected one page, found {len(pages)} (a stack, or a thumbnail beside the "
                "image); export the image alone"
            )
        mapped = pages.mapped_frame() if in_file else None
        return _without_data_bar(mapped or pages.frame(0), pages.image_rows(0))


def read_stack(path: Path, limits: ReadLimits = DEFAULT_LIMITS) -> list[Frame]:
    """Read every page of a TIFF as a frame of its own; refusals as in `read_frame`."""
    with TiffPages(path, limits) as pages:
        return [pages.frame(index) for index in range(len(pages))]


def read_micrograph(path: Path, limits: ReadLimits = DEFAULT_LIMITS) -> Frame:
    """Read a published micrograph: TIFF as in `read_frame`, or PNG or JPEG.

    Equal colour channels are taken as the one that they are; alpha is dropped. Refusals as in
    `read_frame`; unequal channels (a photograph) are unsupported.
    """
    if not is_raster(read_head(path)):
        return read_frame(path, limits)
    return _without_data_bar(Frame(decode_raster(path.read_bytes(), path.name, limits.max_pixels)), None)


def read_provenance(path: Path) -> dict[str, Any]:
    """Read back what `writers.write_result` was told about a result.

    Raises
    ------
    NotAnImage
        The file is not a TIFF, or carries no provenance of ours.
    """
    pairs = first_facts(path, DEFAULT_LIMITS).pairs
    if PROVENANCE not in pairs:
        raise NotAnImage(f"{path.name}: expected provenance, found none; choose a result of Synoptic")
    return {key: json.loads(value) for key, value in pairs[PROVENANCE].items()}


def _without_data_bar(frame: Frame, image_rows: int | None) -> Frame:
    height = frame.pixels.shape[0]
    rows = data_bar(frame.pixels) if image_rows is None else height - image_rows
    if not rows:
        return frame
    return replace(frame, pixels=np.ascontiguousarray(frame.pixels[: height - rows]), data_bar_rows=rows)
