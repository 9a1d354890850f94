"""The pages of a TIFF: checked first, then decoded one by one."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from model_library.errors import EmptyImage, ImageError, NotAnImage, UnsupportedImage
from model_library.images import directory, pixel_size
from model_library.images.directory import Directory, is_tiff, read_directories
from model_library.images.frame import Frame
from model_library.images.intensity import refuse_non_finite
from model_library.images.ome import ACQUISITION, OmeFacts, read_ome
from model_library.images.raster import is_raster

# Oddities in vendors' private tags are logged as errors; those that matter raise.
logging.getLogger("tifffile").addHandler(logging.NullHandler())
logging.getLogger("tifffile").propagate = False

_GREY, _PALETTE = 1, 3
_DTYPES = {(8, 1): "uint8", (16, 1): "uint16", (32, 3): "float32"}
_X_RESOLUTION, _RESOLUTION_UNIT = 282, 296


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """What is refused before decoding.

    Attributes
    ----------
    max_pixels
        Pixels of one page.
    max_pages
        Pages of one file.
    """

    max_pixels: int = 1 << 28
    max_pages: int = 4096


DEFAULT_LIMITS = ReadLimits()


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
            raise NotAnImage(f"{path.name}: expected a TIFF, found {_described(head)}; export it as TIFF")
        self._name = path.name
        with path.open("rb") as file:
            self._directories = read_directories(file, path.name, limits.max_pages)
        for page in self._directories:
            _refuse_unsupported(page, path.name, limits)
        try:
            self._tiff = tifffile.TiffFile(path)
        except Exception as error:
            raise _undecodable(path.name, error) from error

    def __enter__(self) -> "TiffPages":
        return self

    def __exit__(self, *_: object) -> None:
        self._tiff.close()

    def __len__(self) -> int:
        return len(self._directories)

    def facts(self, index: int) -> OmeFacts:
        """Pixel size, stage label and pairs of a page."""
        try:
            page: Any = self._tiff.pages[index]
            description = str(page.description)
            ome = read_ome(description, self._name) or OmeFacts()
            size = ome.pixel_size_nm or _size_from_tags(self._tiff, page, description)
        except ImageError:
            raise
        except Exception as error:
            raise _undecodable(self._name, error) from error
        return OmeFacts(size, ome.field, ome.pairs)

    def frame(self, index: int) -> Frame:
        """Decode a page."""
        facts = self.facts(index)
        try:
            page: Any = self._tiff.pages[index]
            pixels: NDArray[Any] = page.asarray(maxworkers=1)
            coloured = page.photometric == _PALETTE and not _is_grey_ramp(page.colormap)
        except Exception as error:
            raise _undecodable(self._name, error) from error
        if coloured:
            raise UnsupportedImage(f"{self._name}: expected grey, found a colour palette; export it as grey")
        expected = self._directories[index].shape
        if pixels.shape != expected:
            raise UnsupportedImage(
                f"{self._name}: expected axes [Y, X] of shape {expected}, found {pixels.shape}; "
                "export one grey image"
            )
        pixels = np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder("="))
        refuse_non_finite(pixels, self._name)
        return Frame(pixels, facts.pixel_size_nm, facts.field, dict(facts.pairs.get(ACQUISITION, {})))


def read_head(path: Path) -> bytes:
    """First 16 bytes of a file.

    Raises
    ------
    EmptyImage
        There are none.
    """
    with path.open("rb") as file:
        head = file.read(16)
    if not head:
        raise EmptyImage(f"{path.name}: expected an image, found a file of 0 bytes; copy the file again")
    return head


def _refuse_unsupported(page: Directory, name: str, limits: ReadLimits) -> None:
    height, width = page.shape
    if height * width > limits.max_pixels:
        raise UnsupportedImage(
            f"{name}: expected at most {limits.max_pixels} pixels, found {height} x {width}; crop the image"
        )
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


def _size_from_tags(tiff: Any, page: Any, description: str) -> float | None:  # noqa: ANN401
    resolution = page.tags.valueof(_X_RESOLUTION)
    return (
        pixel_size.from_vendor(tiff.fei_metadata, tiff.sem_metadata)
        or pixel_size.from_description(description, resolution)
        or pixel_size.from_resolution(resolution, int(page.tags.valueof(_RESOLUTION_UNIT, 2)))
    )


def _is_grey_ramp(colours: NDArray[Any] | None) -> bool:
    """Whether nearly all entries of a palette [3, values], 16 bit, are the grey of their index.

    Zeiss SmartSEM keeps every ninth entry for the colours of overlays, yet its indices are grey values.
    """
    if colours is None or colours.ndim != 2 or colours.shape[1] == 0:
        return False
    entries = colours.shape[1]
    grey = colours.astype(np.int64) * entries >> 16 == np.arange(entries)
    return bool(grey.all(axis=0).mean() > 0.8)


def _described(head: bytes) -> str:
    if is_raster(head):
        return "a PNG or JPEG picture"
    return "text" if all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in head) else f"bytes {head[:8]!r}"


def _undecodable(name: str, error: Exception) -> NotAnImage:
    return NotAnImage(
        f"{name}: expected a TIFF that decodes, found {type(error).__name__}: {str(error)[:99]}; export again"
    )
