"""What is refused before a decoder sees it."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from model_library.errors import UnsupportedImage
from model_library.images.directory import BITS, COMPRESSION, SAMPLES, Directory

_DEFLATE = {8, 32946}
_DEFLATE_AT_MOST = 1032
"""Bytes that one stored byte can stand for (RFC 1951: 258 for two bits)."""


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """What is refused before decoding.

    Attributes
    ----------
    max_pixels
        Pixels of one page, plane or tile.
    max_pages
        Pages of one file.
    max_bytes
        Bytes of all decoded pixels of one file.
    max_seconds
        Seconds that a child process may take to decode one file.
    """

    max_pixels: int = 1 << 28
    max_pages: int = 4096
    max_bytes: int = 1 << 32
    max_seconds: float = 120.0


DEFAULT_LIMITS = ReadLimits()


def refuse_oversized_page(page: Directory, name: str, limits: ReadLimits) -> None:
    """Refuse a TIFF page that would take too much memory, or that promises more than it can hold.

    Raises
    ------
    UnsupportedImage
        The message says which.
    """
    height, width = page.shape
    if height * width > limits.max_pixels:
        raise UnsupportedImage(
            f"{name}: expected at most {limits.max_pixels} pixels, found {height} x {width}; crop the image"
        )
    if not 0 < prod(page.segment_shape) <= limits.max_pixels:
        raise UnsupportedImage(
            f"{name}: expected strips or tiles of at most {limits.max_pixels} pixels, found "
            f"{page.segment_shape[0]} x {page.segment_shape[1]}; export it again"
        )
    promised = height * width * page.first(BITS, 1) * page.first(SAMPLES, 1) // 8
    if page.first(COMPRESSION, 1) in _DEFLATE and promised > _DEFLATE_AT_MOST * page.stored_bytes:
        raise UnsupportedImage(
            f"{name}: expected at most {_DEFLATE_AT_MOST} bytes of pixels per compressed byte, found "
            f"{promised} from {page.stored_bytes}; export it again"
        )


def refuse_oversized_stack(pages: Sequence[Directory], name: str, limits: ReadLimits) -> None:
    """Refuse pages that together would take too much memory.

    Raises
    ------
    UnsupportedImage
        The message says how much.
    """
    total = sum(prod(page.shape) * page.first(SAMPLES, 1) * page.first(BITS, 8) // 8 for page in pages)
    if total > limits.max_bytes:
        raise UnsupportedImage(
            f"{name}: expected at most {limits.max_bytes} bytes of pixels, found {total} in {len(pages)} "
            "pages; split the file"
        )


def refuse_oversized(shape: tuple[int, ...], itemsize: int, name: str, limits: ReadLimits) -> None:
    """Refuse an array of any format by its shape (Y and X among the axes) and bytes per value.

    Raises
    ------
    UnsupportedImage
        A plane is empty or too large, or all of it together is.
    """
    *_, height, width = shape
    if not 0 < height * width <= limits.max_pixels:
        raise UnsupportedImage(
            f"{name}: expected 1 to {limits.max_pixels} pixels, found {height} x {width}; crop the image"
        )
    if not 0 < prod(shape) * itemsize <= limits.max_bytes:
        raise UnsupportedImage(
            f"{name}: expected 1 to {limits.max_bytes} bytes of pixels, found shape {shape} of {itemsize} "
            "bytes each; split the file"
        )
