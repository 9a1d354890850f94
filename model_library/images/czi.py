"""CZI of Zeiss (ZISRAW): segments of 32 bytes of header, sub-blocks of pixels, a directory of them.

After Carl Zeiss' description of the format (DS_ZISRAW-FileFormat 1.2.2). Read: one scene, one tile per
plane at full resolution, plain or zstd. Not read: mosaics, and the JPEG family, which changes values.
"""

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from model_library.errors import NotAnImage, TruncatedImage, UnsupportedImage
from model_library.images.limits import ReadLimits, refuse_oversized
from model_library.images.pixel_size import PixelSize, nanometres
from model_library.images.recording import Contents, Recording, checked

_FILE, _DIRECTORY, _METADATA, _SUB_BLOCK = (
    *(b"ZISRAWFILE", b"ZISRAWDIRECTORY", b"ZISRAWMETADATA", b"ZISRAWSUBBLOCK"),
)
_SEGMENT_HEADER_BYTES, _FILE_HEADER_BYTES, _LISTED_FROM, _XML_FROM = 32, 80, 128, 256
_ENTRY, _DIMENSION = struct.Struct("<2siqiiB5xi"), struct.Struct("<4siifi")
_DTYPES = {0: ("|u1", 1), 1: ("<u2", 1), 2: ("<f4", 1), 3: ("|u1", 3), 4: ("<u2", 3)}
"""Pixel type -> values and samples (in the order blue, green, red)."""
_PLAIN, _ZSTD, _ZSTD_WITH_HEADER = 0, 5, 6
_SERIES = "TCZ"


@dataclass(frozen=True, slots=True)
class _Entry:
    """One entry of the directory: where a sub-block is and what of the image it holds."""

    pixel_type: int
    position: int
    compression: int
    start: dict[str, int]
    size: dict[str, int]
    stored: dict[str, int]

    @property
    def is_full_resolution(self) -> bool:
        return all(self.size[axis] == self.stored[axis] for axis in "YX")

    @property
    def place(self) -> tuple[int, ...]:
        """Index of its plane along `_SERIES`."""
        return tuple(self.start.get(axis, 0) for axis in _SERIES)

    @property
    def shape(self) -> tuple[int, ...]:
        """[Y, X] or [Y, X, S] of its pixels."""
        samples = _DTYPES[self.pixel_type][1]
        return (self.stored["Y"], self.stored["X"], *((samples,) if samples > 1 else ()))

    @property
    def nbytes(self) -> int:
        return prod(self.shape) * np.dtype(_DTYPES[self.pixel_type][0]).itemsize


def is_czi(head: bytes) -> bool:
    """Whether the first bytes are those of a CZI."""
    return head.startswith(_FILE)


def read_czi(path: Path, limits: ReadLimits) -> Contents:
    """Read a CZI.

    Parameters
    ----------
    path
        The file.
    limits
        What is refused before decoding.

    Returns
    -------
    Contents
        One recording, axes "TCZYX" less those of length 1 (and "S" for colour, red first); uint8,
        uint16 or float32 as stored; pixel size from the `Scaling` of the metadata, where it is not 0.

    Raises
    ------
    TruncatedImage
        The file ends before a segment does.
    NotAnImage
        Damaged.
    UnsupportedImage
        Several scenes or mosaics of tiles, other pixel types or compressions, or too large.
    """
    with path.open("rb") as file:
        reader = _Segments(file, path.stat().st_size, path.name)
        directory_at, metadata_at = struct.unpack_from(
            "<qq", reader.content(0, _FILE, _FILE_HEADER_BYTES), 52
        )
        listed = _entries(reader.content(directory_at, _DIRECTORY, _LISTED_FROM), path.name)
        entries = sorted(
            (entry for entry in listed if entry.is_full_resolution), key=lambda entry: entry.place
        )
        lead = _series(entries, path.name, limits)
        planes = [_pixels(reader, entry) for entry in entries]
        metadata = reader.content(metadata_at, _METADATA, _XML_FROM) if metadata_at > 0 else b""
    recording = Recording(
        pixels=np.stack(planes).reshape(*(lead[axis] for axis in lead), *planes[0].shape),
        axes="".join(lead) + ("YXS" if planes[0].ndim == 3 else "YX"),
        pixel_size=_pixel_size(metadata[_XML_FROM:], has_depth="Z" in lead),
    )
    left_out = ("smaller copies",) if len(entries) < len(listed) else ()
    return Contents("CZI", (checked(recording, path.name),), left_out)


@dataclass(frozen=True, slots=True)
class _Segments:
    file: BinaryIO
    size: int
    name: str

    def content(self, position: int, kind: bytes, at_least: int) -> bytes:
        """Give the used bytes of the segment of this kind at a position."""
        header = self.take(position, _SEGMENT_HEADER_BYTES)
        found = header[:16].rstrip(b"\0")
        allocated, used = struct.unpack_from("<qq", header, 16)
        if found != kind or (used or allocated) < at_least:
            raise NotAnImage(
                f"{self.name}: expected segment {kind.decode()} of at least {at_least} bytes, found "
                f"{found!r} of {used or allocated}; copy the file again"
            )
        return self.take(position + _SEGMENT_HEADER_BYTES, used or allocated)

    def take(self, start: int, length: int) -> bytes:
        if start < 0 or length < 0 or start + length > self.size:
            raise TruncatedImage(
                f"{self.name}: expected a segment to end at byte {start + length}, found the file to end at "
                f"byte {self.size}; let the writer finish, or copy the file again"
            )
        self.file.seek(start)
        return self.file.read(length)


def _entries(directory: bytes, name: str) -> list[_Entry]:
    (count,) = struct.unpack_from("<i", directory)
    where, entries = _LISTED_FROM, []
    try:
        for _ in range(count):
            _, pixel_type, position, _, compression, _, dimensions = _ENTRY.unpack_from(directory, where)
            where += _ENTRY.size
            start, size, stored = {}, {}, {}
            for _ in range(dimensions):
                letter, first, length, _, kept = _DIMENSION.unpack_from(directory, where)
                where += _DIMENSION.size
                axis = letter.rstrip(b"\0").decode("ascii")
                start[axis], size[axis], stored[axis] = first, length, kept or length
            if not {"X", "Y"} <= set(size):
                raise NotAnImage(
                    f"{name}: expected sub-blocks with X and Y, found {set(size)}; copy the file again"
                )
            entries.append(_Entry(pixel_type, position, compression, start, size, stored))
    except (struct.error, UnicodeDecodeError) as error:
        raise NotAnImage(
            f"{name}: expected a directory of sub-blocks, found {error}; copy the file again"
        ) from error
    return entries


def _series(entries: Sequence[_Entry], name: str, limits: ReadLimits) -> dict[str, int]:
    """Check that the entries are planes alike that fill a grid; axes of the grid longer than 1."""
    kinds = {(entry.pixel_type, entry.compression, entry.stored["Y"], entry.stored["X"]) for entry in entries}
    if len(kinds) != 1:
        raise _unsupported(name, f"planes of {len(kinds)} kinds")
    ((pixel_type, compression, height, width),) = kinds
    if pixel_type not in _DTYPES or compression not in (_PLAIN, _ZSTD, _ZSTD_WITH_HEADER):
        raise _unsupported(name, f"pixel type {pixel_type} with compression {compression}")
    others = {
        axis
        for entry in entries
        for axis, length in entry.size.items()
        if (axis not in "YX" and length != 1)
        or (axis not in "MYXTCZ" and entry.start[axis] != entries[0].start.get(axis))
    }
    if others:
        raise _unsupported(name, f"several values along {', '.join(sorted(others))}")
    values, samples = _DTYPES[pixel_type]
    itemsize = np.dtype(values).itemsize * samples
    refuse_oversized((len(entries), height, width), itemsize, name, limits)
    lengths = {axis: len({entry.place[index] for entry in entries}) for index, axis in enumerate(_SERIES)}
    if len({entry.place for entry in entries}) != len(entries) or prod(lengths.values()) != len(entries):
        raise _unsupported(name, f"{len(entries)} tiles for {lengths}, a mosaic")
    return {axis: length for axis, length in lengths.items() if length > 1}


def _pixels(reader: _Segments, entry: _Entry) -> NDArray[Any]:
    """Pixels of one sub-block, axes [Y, X] or [Y, X, S], red first."""
    content = reader.content(entry.position, _SUB_BLOCK, 256)
    about, _, length = struct.unpack_from("<iiq", content)
    (dimensions,) = struct.unpack_from("<i", content, 16 + _ENTRY.size - 4)
    begin = max(256, 16 + _ENTRY.size + _DIMENSION.size * dimensions) + about
    data = content[begin : begin + length]
    try:
        if entry.compression != _PLAIN:
            data = _unpacked(data, entry)
        pixels = np.frombuffer(data, _DTYPES[entry.pixel_type][0])[: prod(entry.shape)].reshape(entry.shape)
    except Exception as error:
        raise NotAnImage(
            f"{reader.name}: expected a plane of {entry.nbytes} bytes, found {str(error)[:99]}; copy the "
            "file again"
        ) from error
    return pixels[..., ::-1] if pixels.ndim == 3 else pixels


def _unpacked(data: bytes, entry: _Entry) -> bytes:
    split = False
    if entry.compression == _ZSTD_WITH_HEADER:
        length = data[0]
        # Low bytes of all values, then high bytes: bit 0 of chunk 1 of the header.
        split = length >= 3 and data[1] == 1 and bool(data[2] & 1)
        data = data[length:]
    # `out`: a plane is never given more memory than its entry announces.
    plain = bytes(imagecodecs.zstd_decode(data, out=entry.nbytes))
    if not split:
        return plain
    return np.frombuffer(plain, np.uint8).reshape(2, -1).T.tobytes()


def _pixel_size(xml: bytes, *, has_depth: bool) -> PixelSize:
    text = xml.decode("utf-8", "replace")
    sizes = {}
    for axis in "YXZ":
        found = re.search(rf'<Distance Id="{axis}">\s*<Value>\s*([\d.eE+-]{{1,40}})\s*</Value>', text)
        try:
            sizes[axis] = nanometres(float(found.group(1)), "m") if found else None
        except ValueError:
            sizes[axis] = None
    return PixelSize.of(sizes["Y"], sizes["X"], sizes["Z"] if has_depth else None)


def _unsupported(name: str, found: str) -> UnsupportedImage:
    return UnsupportedImage(
        f"{name}: expected one grey or RGB plane per time, channel and depth, plain or zstd, found {found}; "
        "export it as OME-TIFF"
    )
