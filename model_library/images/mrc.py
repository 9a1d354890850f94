"""MRC, MRCS, CCP4 maps (MRC2014): the header is checked against the file before mrcfile reads it."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_library.errors import NotAnImage, TruncatedImage, UnsupportedImage
from model_library.images.limits import ReadLimits, refuse_oversized
from model_library.images.pixel_size import PixelSize, nanometres
from model_library.images.recording import Contents, Recording, checked

SUFFIXES = (".mrc", ".mrcs", ".map", ".ccp4", ".st", ".rec", ".ali")
_HEADER_BYTES = 1024
_STAMP = slice(208, 212)
_VALUE_BYTES = {0: 1, 1: 2, 2: 4, 6: 2, 12: 2}
_COMPLEX = (3, 4)


def is_mrc(head: bytes) -> bool:
    """Whether the first bytes (212 or more) carry the stamp of the format."""
    return head[_STAMP] in (b"MAP ", b"MAP\0")


def read_mrc(path: Path, limits: ReadLimits) -> Contents:
    """Read a map, an image or a stack of images.

    Parameters
    ----------
    path
        The file; `.mrcs` says that it is a stack even where its header says volume.
    limits
        What is refused before decoding.

    Returns
    -------
    Contents
        One recording: "YX", "IYX" (stack of images), "ZYX" (volume) or "IZYX"; int8, int16, float32,
        uint16 or float16 as stored, rows in the order of the file. A voxel size of 0 is unknown.

    Raises
    ------
    TruncatedImage
        The file is shorter than its header says.
    UnsupportedImage
        Complex values, another mode, permuted axes, or too large.
    NotAnImage
        mrcfile does not understand it.
    NonFinitePixels
        NaN or infinity.
    """
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
    size = path.stat().st_size
    _check_header(header, size, path.name, limits)
    import mrcfile  # type: ignore[import-untyped]

    try:
        with mrcfile.open(path) as mrc:
            pixels: NDArray[Any] = np.array(mrc.data)
            axes = _axes(mrc, pixels.ndim, path)
            voxel = (nanometres(float(mrc.voxel_size[axis]), "A") for axis in "yxz")
            pixel_size = PixelSize.of(*voxel)
    except Exception as error:
        raise NotAnImage(
            f"{path.name}: expected an MRC file, found {type(error).__name__}: {str(error)[:99]}; export it "
            "again"
        ) from error
    if "Z" not in axes:
        pixel_size = PixelSize(pixel_size.y_nm, pixel_size.x_nm)
    return Contents("MRC", (checked(Recording(pixels, axes, pixel_size), path.name),))


def _axes(mrc: Any, dimensions: int, path: Path) -> str:  # noqa: ANN401
    if dimensions == 2:
        return "YX"
    if dimensions == 4:
        return "IZYX"
    return "IYX" if mrc.is_image_stack() or path.suffix.lower() == ".mrcs" else "ZYX"


def _check_header(header: bytes, size: int, name: str, limits: ReadLimits) -> None:
    if len(header) < _HEADER_BYTES:
        raise TruncatedImage(
            f"{name}: expected a header of {_HEADER_BYTES} bytes, found {len(header)}; copy the file again"
        )
    # The first byte of the machine stamp: 0x44 little, 0x11 big endian.
    order = ">" if header[212] == 0x11 else "<"
    columns, rows, sections, mode = struct.unpack_from(f"{order}4i", header)
    permutation = struct.unpack_from(f"{order}3i", header, 64)
    (extended,) = struct.unpack_from(f"{order}i", header, 92)
    if mode in _COMPLEX:
        raise UnsupportedImage(f"{name}: expected an image, found complex numbers; export the modulus")
    if mode not in _VALUE_BYTES or min(columns, rows, sections) < 1 or extended < 0:
        raise UnsupportedImage(
            f"{name}: expected mode 0, 1, 2, 6 or 12 and positive sides, found mode {mode}, sides "
            f"{(sections, rows, columns)}; export it again"
        )
    if permutation not in ((1, 2, 3), (0, 0, 0)):
        raise UnsupportedImage(
            f"{name}: expected columns, rows and sections along x, y and z, found {permutation}; export it so"
        )
    refuse_oversized((sections, rows, columns), _VALUE_BYTES[mode], name, limits)
    if sections > limits.max_pages:
        raise UnsupportedImage(
            f"{name}: expected at most {limits.max_pages} sections, found {sections}; split the file"
        )
    end = _HEADER_BYTES + extended + sections * rows * columns * _VALUE_BYTES[mode]
    if size < end:
        raise TruncatedImage(
            f"{name}: expected {end} bytes, found {size}; let the writer finish, or copy the file again"
        )
