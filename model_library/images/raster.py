"""PNG and JPEG, the formats in which micrographs are published."""

import struct
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from model_library.errors import NotAnImage, TruncatedImage, UnsupportedImage
from model_library.images.colour import true_grey

_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
_PNG_END, _JPEG_END = b"IEND\xaeB`\x82", b"\xff\xd9"
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def is_raster(head: bytes) -> bool:
    """Whether the first bytes are those of a PNG or a JPEG."""
    return head.startswith((_PNG, _JPEG))


def is_jpeg(head: bytes) -> bool:
    """Whether the first bytes are those of a JPEG, which changes grey values."""
    return head.startswith(_JPEG)


def decode_raster(content: bytes, name: str, max_pixels: int) -> NDArray[Any]:
    """Decode a PNG or JPEG to one grey channel; axes [Y, X], uint8 or uint16.

    Parameters and refusals as in `read_raster`; colour channels that differ are unsupported too.
    """
    pixels = read_raster(content, name, max_pixels)
    grey = pixels if pixels.ndim == 2 else true_grey(pixels, lossy=is_jpeg(content))
    if grey is None:
        raise UnsupportedImage(f"{name}: expected grey, found colour channels that differ; export it as grey")
    return grey


def read_raster(content: bytes, name: str, max_pixels: int) -> NDArray[Any]:
    """Decode a PNG or JPEG; axes [Y, X] or [Y, X, S], uint8 or uint16.

    Parameters
    ----------
    content
        The whole file; `is_raster` of it holds.
    name
        What messages call the file.
    max_pixels
        More are refused before decoding.

    Raises
    ------
    TruncatedImage
        The end that the format demands is missing.
    NotAnImage
        It does not decode.
    UnsupportedImage
        Too large.
    """
    png = content.startswith(_PNG)
    if (_PNG_END if png else _JPEG_END) not in content[-1024:]:
        raise TruncatedImage(f"{name}: expected the end of a picture, found none; copy the file again")
    height, width = _png_shape(content) if png else _jpeg_shape(content, name)
    if not 0 < height * width <= max_pixels:
        raise UnsupportedImage(
            f"{name}: expected at most {max_pixels} pixels, found {height} x {width}; crop it"
        )
    try:
        pixels: NDArray[Any] = (imagecodecs.png_decode if png else imagecodecs.jpeg8_decode)(content)
    except Exception as error:
        raise NotAnImage(
            f"{name}: expected a picture that decodes, found {error}; export it again"
        ) from error
    return pixels


def encode_png(pixels: NDArray[np.uint8]) -> bytes:
    """Encode an image of 8 bit, grey [Y, X] or RGB [Y, X, 3], as PNG."""
    return bytes(imagecodecs.png_encode(np.ascontiguousarray(pixels)))


def _png_shape(content: bytes) -> tuple[int, int]:
    width, height = struct.unpack(">II", content[16:24])
    return height, width


def _jpeg_shape(content: bytes, name: str) -> tuple[int, int]:
    """Follow the markers (ITU T.81, annex B) to the header of the frame."""
    where = 2
    while where + 9 <= len(content) and content[where] == 0xFF:
        marker = content[where + 1]
        if marker == 0xFF:
            where += 1
            continue
        length, _, height, width = struct.unpack(">HBHH", content[where + 2 : where + 9])
        if marker in _FRAME_MARKERS:
            return height, width
        where += 2 + length
    raise NotAnImage(f"{name}: expected the header of a JPEG frame, found none; export it again")
