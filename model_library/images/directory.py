"""What a TIFF file says about itself (TIFF 6.0 section 2, BigTIFF), read without decoding pixels.

Written for hostile and half-written files: every offset is checked against the end of the file, the
chain of directories against loops, before anything is handed to a decoder.
"""

import struct
from dataclasses import dataclass
from typing import BinaryIO

from model_library.errors import NotAnImage, TruncatedImage, UnsupportedImage

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, SAMPLES, SAMPLE_FORMAT = 256, 257, 258, 259, 262, 277, 339
STRIP_OFFSETS, STRIP_BYTES, TILE_OFFSETS, TILE_BYTES = 273, 279, 324, 325
ROWS_PER_STRIP, TILE_WIDTH, TILE_HEIGHT, SUBFILE_TYPE = 278, 322, 323, 254

_INTEGERS = {1: "B", 3: "H", 4: "I", 16: "Q"}
_SIZES = dict(zip((*range(1, 14), 16, 17, 18), (1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 8, 8, 8), strict=True))
_WANTED = {WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, SAMPLES, SAMPLE_FORMAT} | {
    *(
        STRIP_OFFSETS,
        STRIP_BYTES,
        TILE_OFFSETS,
        TILE_BYTES,
        ROWS_PER_STRIP,
        TILE_WIDTH,
        TILE_HEIGHT,
        SUBFILE_TYPE,
    )
}
_MAX_SEGMENTS = 1 << 20
_UNCOMPRESSED = 1


@dataclass(frozen=True, slots=True)
class Directory:
    """One page: the integer tags that decide how its pixels are decoded."""

    tags: dict[int, tuple[int, ...]]

    def first(self, tag: int, default: int) -> int:
        """First value of a tag, or the default of the TIFF specification."""
        values = self.tags.get(tag, ())
        return values[0] if values else default

    @property
    def shape(self) -> tuple[int, int]:
        """[Y, X] in pixels."""
        return self.first(HEIGHT, 0), self.first(WIDTH, 0)

    @property
    def segment_shape(self) -> tuple[int, int]:
        """[Y, X] of a strip or tile, which a decoder needs memory for."""
        height, width = self.shape
        if TILE_OFFSETS in self.tags:
            return self.first(TILE_HEIGHT, 0), self.first(TILE_WIDTH, 0)
        return min(height, self.first(ROWS_PER_STRIP, height)), width

    @property
    def stored_bytes(self) -> int:
        """Bytes of all its strips or tiles, as stored."""
        return sum(self.tags.get(TILE_BYTES) or self.tags.get(STRIP_BYTES, ()))


@dataclass(frozen=True, slots=True)
class _Layout:
    order: str
    big: bool

    @property
    def offset(self) -> str:
        return self.order + ("Q" if self.big else "I")

    @property
    def count(self) -> str:
        return self.order + ("Q" if self.big else "H")

    @property
    def entry(self) -> str:
        return self.order + ("HHQ8s" if self.big else "HHI4s")


def is_tiff(head: bytes) -> bool:
    """Whether the first bytes (four or more) are those of a TIFF or BigTIFF."""
    return head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def read_directories(file: BinaryIO, name: str, max_pages: int) -> tuple[Directory, ...]:
    """Every page of a TIFF file, each with all of its bytes within the file.

    Parameters
    ----------
    file
        Open for reading; it starts with the four bytes that `is_tiff` accepts.
    name
        What messages call the file.
    max_pages
        More pages are refused.

    Raises
    ------
    TruncatedImage
        The file ends before a directory, a value or a strip does.
    NotAnImage
        The directories form a loop or say nothing sensible.
    UnsupportedImage
        There are more than `max_pages` pages.
    """
    size = file.seek(0, 2)
    reader = _Reader(file, size, name)
    head = reader.take(0, 8)
    layout = _Layout(order="<" if head[:2] == b"II" else ">", big=b"+" in head[2:4])
    where = reader.unpack(layout.offset, 8 if layout.big else 4)
    if where == 0:
        raise TruncatedImage(f"{name}: expected a directory of pages, found none yet; let the writer finish")
    pages: list[Directory] = []
    seen: set[int] = set()
    while where:
        if where in seen:
            raise NotAnImage(f"{name}: expected pages in a row, found a loop of directories; export it again")
        if len(pages) >= max_pages:
            raise UnsupportedImage(f"{name}: expected at most {max_pages} pages, found more; split the file")
        seen.add(where)
        page, where = _read_page(reader, layout, where)
        _check_segments(page, reader)
        pages.append(page)
    return tuple(pages)


@dataclass(frozen=True, slots=True)
class _Reader:
    file: BinaryIO
    size: int
    name: str

    def within(self, start: int, length: int, what: str) -> None:
        if start + length > self.size:
            raise TruncatedImage(
                f"{self.name}: expected {what} to end at byte {start + length}, found the file to end at "
                f"byte {self.size}; let the writer finish, or copy the file again"
            )

    def take(self, start: int, length: int) -> bytes:
        self.within(start, length, "a directory")
        self.file.seek(start)
        return self.file.read(length)

    def unpack(self, form: str, start: int) -> int:
        value: int = struct.unpack(form, self.take(start, struct.calcsize(form)))[0]
        return value


def _read_page(reader: _Reader, layout: _Layout, where: int) -> tuple[Directory, int]:
    count = reader.unpack(layout.count, where)
    start = where + struct.calcsize(layout.count)
    entry_size = struct.calcsize(layout.entry)
    if count > 4096:
        raise NotAnImage(
            f"{reader.name}: expected a directory of tags, found one of {count}; export it again"
        )
    block = reader.take(start, count * entry_size)
    tags: dict[int, tuple[int, ...]] = {}
    for tag, kind, number, inline in struct.iter_unpack(layout.entry, block):
        length = _SIZES.get(kind, 0) * number
        if length > len(inline):
            where_value = struct.unpack(layout.offset, inline)[0]
            reader.within(where_value, length, f"tag {tag}")
        if tag not in _WANTED or kind not in _INTEGERS:
            continue
        if number > _MAX_SEGMENTS:
            raise NotAnImage(
                f"{reader.name}: expected few values in tag {tag}, found {number}; export it again"
            )
        value = inline[:length] if length <= len(inline) else reader.take(where_value, length)
        tags[tag] = struct.unpack(f"{layout.order}{number}{_INTEGERS[kind]}", value)
    return Directory(tags), reader.unpack(layout.offset, start + count * entry_size)


def _check_segments(page: Directory, reader: _Reader) -> None:
    offsets = page.tags.get(TILE_OFFSETS) or page.tags.get(STRIP_OFFSETS, ())
    lengths = page.tags.get(TILE_BYTES) or page.tags.get(STRIP_BYTES, ())
    if not offsets or len(offsets) != len(lengths) or not all(page.shape):
        raise NotAnImage(
            f"{reader.name}: expected a page with a width, a height and strips or tiles, found "
            f"{len(offsets)} offsets, {len(lengths)} lengths, shape {page.shape}; export it again"
        )
    for offset, length in zip(offsets, lengths, strict=True):
        if offset == 0 or length == 0:
            raise TruncatedImage(
                f"{reader.name}: expected every strip written, found one that is not; let the writer finish"
            )
        reader.within(offset, length, "a strip")
    height, width = page.shape
    row = (width * page.first(BITS, 1) * page.first(SAMPLES, 1) + 7) // 8
    if page.first(COMPRESSION, _UNCOMPRESSED) == _UNCOMPRESSED and sum(lengths) < height * row:
        raise TruncatedImage(
            f"{reader.name}: expected {height * row} bytes of pixels, found strips of {sum(lengths)}; "
            "export it again"
        )
