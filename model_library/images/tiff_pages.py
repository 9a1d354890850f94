"""The pages of a TIFF: checked first, then decoded one by one."""

import logging
import sys
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from model_library.errors import EmptyImage, NotAnImage, UnsupportedImage
from model_library.images import directory
from model_library.images.directory import Directory, is_tiff, read_directories
from model_library.images.frame import Frame
from model_library.images.intensity import refuse_non_finite
from model_library.images.limits import ReadLimits, refuse_oversized_page, refuse_oversized_stack
from model_library.images.ome import ACQUISITION, OmeFacts
from model_library.images.raster import is_raster
from model_library.images.tiff_facts import image_rows, page_facts, undecodable

# Oddities in vendors' private tags are logged as errors; those that matter raise.
logging.getLogger("tifffile").addHandler(logging.NullHandler())
logging.getLogger("tifffile").propagate = False

_GREY, _PALETTE = 1, 3
_DTYPES = {(8, 1): "uint8", (16, 1): "uint16", (32, 3): "float32"}


class TiffPages:
    """An open TIFF; use as a context manager.

    Raises
    ------
    ImageError
        On opening: what `readers.read_frame` lists, save for refusals of pixel values.
    """

    def __init__(self, path: Path, limits: ReadLimits) -> None:
        head = read_head(path)
        if not is_tiff(head):
            raise NotAnImage(f"{path.name}: expected a TIFF, found {described(head[:16])}; export it as TIFF")
        self._path, self._name = path, path.name
        with path.open("rb") as file:
            self._directories = read_directories(file, path.name, limits.max_pages)
        for page in self._directories:
            _refuse_unsupported(page, path.name, limits)
        refuse_oversized_stack(self._directories, path.name, limits)
        try:
            self._tiff = tifffile.TiffFile(path)
        except Exception as error:
            raise undecodable(path.name, error) from error

    def __enter__(self) -> "TiffPages":
        return self

    def __exit__(self, *_: object) -> None:
        self._tiff.close()

    def __len__(self) -> int:
        return len(self._directories)

    def facts(self, index: int) -> OmeFacts:
        """Pixel size, stage label and pairs of a page."""
        return page_facts(self._tiff, index, self._name)

    def image_rows(self, index: int) -> int | None:
        """Rows above the data bar, where the instrument tells them."""
        try:
            return image_rows(self._tiff, index)
        except Exception as error:
            raise undecodable(self._name, error) from error

    def mapped(self) -> NDArray[Any] | None:
        """Map the pixels of the only page; None where they are compressed, scattered or big-endian."""
        page: Any = self._tiff.pages[0]
        directory_shape = self._directories[0].shape
        plain = page.photometric == _GREY and page.is_memmappable and page.shape == directory_shape
        if not plain or self._tiff.byteorder != "<" or sys.byteorder != "little":
            return None
        try:
            pixels = np.memmap(self._path, page.dtype, "r", page.dataoffsets[0], directory_shape)
        except (OSError, ValueError):
            return None
        refuse_non_finite(pixels, self._name)
        return pixels

    def frame(self, index: int) -> Frame:
        """Decode a page."""
        facts = self.facts(index)
        expected = self._directories[index].shape
        try:
            page: Any = self._tiff.pages[index]
            # Other tags than the directory's (depth of a volume) may ask for more memory.
            pixels: NDArray[Any] | None = page.asarray(maxworkers=1) if page.size == prod(expected) else None
            coloured = page.photometric == _PALETTE and not is_grey_ramp(page.colormap)
        except Exception as error:
            raise undecodable(self._name, error) from error
        if coloured:
            raise UnsupportedImage(f"{self._name}: expected grey, found a colour palette; export it as grey")
        if pixels is None or pixels.shape != expected:
            raise UnsupportedImage(
                f"{self._name}: expected axes [Y, X] of shape {expected}, found {page.shape}; "
                "export one grey image"
            )
        pixels = np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder("="))
        refuse_non_finite(pixels, self._name)
        return self._framed(pixels, facts)

    def mapped_frame(self) -> Frame | None:
        """Give the only page with its pixels left in the file; None where `mapped` gives none."""
        pixels = self.mapped()
        return None if pixels is None else self._framed(pixels, self.facts(0))

    def _framed(self, pixels: NDArray[Any], facts: OmeFacts) -> Frame:
        metadata = dict(facts.pairs.get(ACQUISITION, {}))
        if facts.pixel_size.is_known and not facts.pixel_size.is_square:
            metadata["pixel_size"] = f"not square: {facts.pixel_size}"
        return Frame(pixels, facts.pixel_size.side_nm, facts.field, metadata)


def read_head(path: Path) -> bytes:
    """First 256 bytes of a file.

    Raises
    ------
    EmptyImage
        There are none.
    """
    with path.open("rb") as file:
        head = file.read(256)
    if not head:
        raise EmptyImage(f"{path.name}: expected an image, found a file of 0 bytes; copy the file again")
    return head


def _refuse_unsupported(page: Directory, name: str, limits: ReadLimits) -> None:
    refuse_oversized_page(page, name, limits)
    samples, photometric = page.first(directory.SAMPLES, 1), page.first(directory.PHOTOMETRIC, _GREY)
    if samples != 1 or photometric not in (_GREY, _PALETTE):
        raise UnsupportedImage(
            f"{name}: expected one grey channel with black as 0, found {samples} channels (photometric "
            f"{photometric}); export it as grey"
        )
    kind = page.first(directory.BITS, 1), page.first(directory.SAMPLE_FORMAT, 1)
    if kind not in _DTYPES:
        raise UnsupportedImage(
            f"{name}: expected uint8, uint16 or float32, found {kind[0]} bits of sample format {kind[1]}; "
            "export it as one of these"
        )


def is_grey_ramp(colours: NDArray[Any] | None) -> bool:
    """Whether nearly all entries of a palette [3, values], 16 bit, are the grey of their index.

    Zeiss SmartSEM keeps every ninth entry for the colours of overlays, yet its indices are grey values.
    """
    if colours is None or colours.ndim != 2 or colours.shape[1] == 0:
        return False
    entries = colours.shape[1]
    grey = colours.astype(np.int64) * entries >> 16 == np.arange(entries)
    return bool(grey.all(axis=0).mean() > 0.8)


def described(head: bytes) -> str:
    """First bytes of an unknown file in words."""
    if is_raster(head):
        return "a PNG or JPEG picture"
    return "text" if all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in head) else f"bytes {head[:8]!r}"
