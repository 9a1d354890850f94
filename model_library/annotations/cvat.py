"""Reading "CVAT for images 1.1": an XML file, or the zip in which CVAT exports it.

A file that declares a document type is refused before it is parsed, so entities cannot grow.
"""

import io
import math
import xml.etree.ElementTree as ET
import zipfile
import zlib
from collections import Counter
from xml.parsers import expat

from model_library.annotations.shapes import (
    AnnotatedImage,
    Annotation,
    Box,
    Ellipse,
    PixelMask,
    Point,
    Polygon,
    Polyline,
    Shape,
)
from model_library.errors import AnnotationError

MEMBER = "annotations.xml"
"""The file of annotations in a zip of CVAT's."""
WIDTH = "width_px"
"""Attribute of a polyline that tells its width."""

_MOST_BYTES = 256 << 20
_LARGEST_SIDE_PX = 1 << 16
_IGNORED = frozenset({"tag"})
"""Says something about the whole image, nothing about its pixels."""


def read_cvat(content: bytes, name: str, *, line_width_px: float = 1.0) -> tuple[AnnotatedImage, ...]:
    """Read annotations of images.

    Parameters
    ----------
    content
        The XML file, or a zip that holds `annotations.xml`.
    name
        What messages call the file.
    line_width_px
        Width of polylines without an attribute `width_px`.

    Returns
    -------
    Every image that the file lists, also those on which nothing was drawn.

    Raises
    ------
    AnnotationError
        The file is malformed, is no "CVAT for images 1.1", or holds shapes that have no area.
    """
    root = _parse(_unpacked(content, name), name)
    version, video = root.findtext("version"), root.find("track") is not None
    if root.tag != "annotations" or video or version not in (None, "1.1"):
        told = f"<{root.tag}>, version {version or 'unknown'}{', of a video' if video else ''}"
        raise AnnotationError(
            f"{name}: expected the format CVAT for images 1.1, found {told}; export the annotations again"
        )
    images = tuple(_image(element, name, line_width_px) for element in root.iterfind("image"))
    names = Counter(image.name for image in images)
    twice = sorted(each for each, times in names.items() if times > 1)
    if twice:
        raise AnnotationError(
            f"{name}: expected each image once, found {', '.join(twice)} more often; merge them"
        )
    return images


def _unpacked(content: bytes, name: str) -> bytes:
    _refuse_large(content, name)
    if not content.startswith(b"PK"):
        return content
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive, archive.open(MEMBER) as member:
            # The size that a zip declares may be a lie.
            unpacked = member.read(_MOST_BYTES + 1)
    except (KeyError, zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, zlib.error) as error:
        raise AnnotationError(
            f"{name}: expected a zip with {MEMBER}, found {error}; export the task as CVAT for images 1.1"
        ) from error
    _refuse_large(unpacked, name)
    return unpacked


def _refuse_large(content: bytes, name: str) -> None:
    if len(content) > _MOST_BYTES:
        raise AnnotationError(
            f"{name}: expected at most {_MOST_BYTES} bytes of XML, found more; export fewer images at a time"
        )


def _parse(content: bytes, name: str) -> ET.Element:
    def refuse(*_: object) -> None:
        raise AnnotationError(
            f"{name}: expected XML without a document type, found one (it could exhaust memory); remove it"
        )

    guard = expat.ParserCreate()
    guard.StartDoctypeDeclHandler = refuse
    guard.EntityDeclHandler = refuse
    try:
        guard.Parse(content, True)
        return ET.fromstring(content)  # noqa: S314
    except (expat.ExpatError, ET.ParseError, ValueError, LookupError) as error:
        raise AnnotationError(
            f"{name}: expected an XML file of CVAT, found {error}; export the annotations again"
        ) from error


def _image(element: ET.Element, file: str, line_width_px: float) -> AnnotatedImage:
    read = _Reader(element, f"{file}, image {element.get('name', '?')}")
    width, height = read.whole("width"), read.whole("height")
    if not (0 < width <= _LARGEST_SIDE_PX and 0 < height <= _LARGEST_SIDE_PX):
        raise AnnotationError(
            f"{read.where}: expected a size in pixels, found {width} x {height}; export it again"
        )
    annotations = tuple(
        _annotation(each, f"{read.where}, shape {number}", (height, width), line_width_px)
        for number, each in enumerate(element, 1)
        if each.tag not in _IGNORED
    )
    return AnnotatedImage(read.text("name"), width, height, annotations)


def _annotation(element: ET.Element, where: str, size: tuple[int, int], line_width_px: float) -> Annotation:
    read = _Reader(element, f"{where} ({element.tag})")
    shape = _shape(read, size, line_width_px)
    return Annotation(read.text("label"), shape, read.whole("z_order", 0))


def _shape(read: "_Reader", size: tuple[int, int], line_width_px: float) -> Shape:
    match read.element.tag:
        case "polygon":
            return Polygon(read.points(least=3))
        case "polyline":
            return Polyline(read.points(least=2), read.width_px(line_width_px))
        case "box":
            left, top, right, bottom = (read.number(key) for key in ("xtl", "ytl", "xbr", "ybr"))
            return Box(left, top, right, bottom, read.number("rotation", 0.0))
        case "ellipse":
            return Ellipse(
                read.number("cx"),
                read.number("cy"),
                read.positive("rx"),
                read.positive("ry"),
                read.number("rotation", 0.0),
            )
        case "mask":
            return _mask(read, size)
        case other:
            raise AnnotationError(
                f"{read.where}: expected a polygon, polyline, box, ellipse or mask, found {other}, which has "
                "no area; redraw it in CVAT"
            )


def _mask(read: "_Reader", size: tuple[int, int]) -> PixelMask:
    left, top, width, height = (read.whole(key) for key in ("left", "top", "width", "height"))
    if left < 0 or top < 0 or width < 1 or height < 1 or left + width > size[1] or top + height > size[0]:
        raise AnnotationError(
            f"{read.where}: expected a mask inside {size[1]} x {size[0]} pixels, found {width} x {height} at "
            f"x {left}, y {top}; export the annotations again"
        )
    runs = read.runs()
    if sum(runs) != width * height or min(runs) < 0:
        raise AnnotationError(
            f"{read.where}: expected runs that fill {width} x {height} pixels, found {sum(runs)} pixels; "
            "export the annotations again"
        )
    return PixelMask(left, top, width, height, runs)


class _Reader:
    """Attributes of one element, as values; what does not fit is refused with the place where it stands."""

    def __init__(self, element: ET.Element, where: str) -> None:
        self.element = element
        self.where = where

    def text(self, key: str) -> str:
        found = self.element.get(key)
        if not found:
            raise self._wrong(key, "a value", found)
        return found

    def number(self, key: str, default: float | None = None) -> float:
        found = self.element.get(key)
        if found is None and default is not None:
            return default
        return self._finite(key, found)

    def positive(self, key: str) -> float:
        found = self.number(key)
        if found <= 0:
            raise self._wrong(key, "a positive number", str(found))
        return found

    def whole(self, key: str, default: int | None = None) -> int:
        found = self.element.get(key)
        if found is None and default is not None:
            return default
        try:
            return int(found or "")
        except ValueError as error:
            raise self._wrong(key, "a whole number", found) from error

    def points(self, least: int) -> tuple[Point, ...]:
        pairs = [pair.split(",") for pair in self.text("points").split(";")]
        if len(pairs) < least or any(len(pair) != 2 for pair in pairs):
            raise self._wrong("points", f"at least {least} pairs x,y", self.element.get("points"))
        return tuple((self._finite("points", x), self._finite("points", y)) for x, y in pairs)

    def runs(self) -> tuple[int, ...]:
        try:
            return tuple(int(run) for run in self.text("rle").split(","))
        except ValueError as error:
            raise self._wrong("rle", "run lengths", self.element.get("rle")) from error

    def width_px(self, default: float) -> float:
        for attribute in self.element.iterfind("attribute"):
            if attribute.get("name") == WIDTH:
                found = self._finite(WIDTH, attribute.text)
                if found <= 0:
                    raise self._wrong(WIDTH, "a positive number", attribute.text)
                return found
        return default

    def _finite(self, key: str, text: str | None) -> float:
        try:
            value = float(text or "")
        except ValueError as error:
            raise self._wrong(key, "a number", text) from error
        if not math.isfinite(value) or abs(value) > 16 * _LARGEST_SIDE_PX:
            raise self._wrong(key, "a coordinate near the image", text)
        return value

    def _wrong(self, key: str, expected: str, found: str | None) -> AnnotationError:
        told = "nothing" if found is None else repr(found[:80])
        return AnnotationError(f"{self.where}: expected {expected} in {key}, found {told}; export it again")
