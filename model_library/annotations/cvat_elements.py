"""One element of a CVAT file as a shape; what makes no sense is refused with the place where it stands."""

import math
import xml.etree.ElementTree as ET

from model_library.annotations.shapes import (
    Annotation,
    Box,
    Ellipse,
    PixelMask,
    Point,
    Polygon,
    Polyline,
    Shape,
)
from model_library.annotations.untrusted import LARGEST_SIDE_PX
from model_library.errors import AnnotationError

WIDTH = "width_px"
"""Attribute of a polyline that tells its width."""
SEARCHED = "searched"
"""Attribute of a tag: its label was looked for on the whole image."""

_FURTHEST = 16 * LARGEST_SIDE_PX


def read_annotation(
    element: ET.Element, where: str, size: tuple[int, int], line_width_px: float
) -> Annotation:
    """Read a shape with its label.

    Parameters
    ----------
    element
        Child of an `<image>` that is no `<tag>`.
    where
        What messages call it.
    size
        Of the image [Y, X].
    line_width_px
        Width of a polyline without an attribute `width_px`.

    Raises
    ------
    AnnotationError
        It has no area by its kind, lacks a value, or holds one that makes no sense.
    """
    read = ElementReader(element, f"{where} ({element.tag})")
    shape = _shape(read, size, line_width_px)
    return Annotation(read.text("label"), shape, read.whole("z_order", 0), read.flag("occluded"))


def searched_label(tag: ET.Element, where: str) -> str | None:
    """Tell which label a `<tag>` says was looked for; None where it says something else."""
    read = ElementReader(tag, f"{where} (tag)")
    return read.text("label") if read.attribute(SEARCHED) == "true" else None


def _shape(read: "ElementReader", size: tuple[int, int], line_width_px: float) -> Shape:
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


def _mask(read: "ElementReader", size: tuple[int, int]) -> PixelMask:
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


class ElementReader:
    """Attributes of one element, as values."""

    def __init__(self, element: ET.Element, where: str) -> None:
        self.element = element
        self.where = where

    def text(self, key: str) -> str:
        """Return a value that is not empty."""
        found = self.element.get(key)
        if not found:
            raise self._wrong(key, "a value", found)
        return found

    def number(self, key: str, default: float | None = None) -> float:
        """Return a finite number, not far from any image."""
        found = self.element.get(key)
        if found is None and default is not None:
            return default
        return self._finite(key, found)

    def positive(self, key: str) -> float:
        """Return a number above 0."""
        found = self.number(key)
        if found <= 0:
            raise self._wrong(key, "a positive number", str(found))
        return found

    def whole(self, key: str, default: int | None = None) -> int:
        """Return a whole number."""
        found = self.element.get(key)
        if found is None and default is not None:
            return default
        try:
            return int(found or "")
        except ValueError as error:
            raise self._wrong(key, "a whole number", found) from error

    def flag(self, key: str) -> bool:
        """Return what CVAT writes as 0 or 1; False where it is absent."""
        found = self.element.get(key, "0")
        if found not in ("0", "1"):
            raise self._wrong(key, "0 or 1", found)
        return found == "1"

    def points(self, least: int) -> tuple[Point, ...]:
        """Return pairs x,y, at least so many."""
        pairs = [pair.split(",") for pair in self.text("points").split(";")]
        if len(pairs) < least or any(len(pair) != 2 for pair in pairs):
            raise self._wrong("points", f"at least {least} pairs x,y", self.element.get("points"))
        return tuple((self._finite("points", x), self._finite("points", y)) for x, y in pairs)

    def runs(self) -> tuple[int, ...]:
        """Return run lengths."""
        try:
            return tuple(int(run) for run in self.text("rle").split(","))
        except ValueError as error:
            raise self._wrong("rle", "run lengths", self.element.get("rle")) from error

    def attribute(self, name: str) -> str | None:
        """Return the text of a child `<attribute>`; None where there is none of this name."""
        found = (each for each in self.element.iterfind("attribute") if each.get("name") == name)
        return next(((each.text or "").strip() for each in found), None)

    def width_px(self, default: float) -> float:
        """Return the width that a polyline tells of itself."""
        told = self.attribute(WIDTH)
        if told is None:
            return default
        found = self._finite(WIDTH, told)
        if found <= 0:
            raise self._wrong(WIDTH, "a positive number", told)
        return found

    def _finite(self, key: str, text: str | None) -> float:
        try:
            value = float(text or "")
        except ValueError as error:
            raise self._wrong(key, "a number", text) from error
        if not math.isfinite(value) or abs(value) > _FURTHEST:
            raise self._wrong(key, "a coordinate near the image", text)
        return value

    def _wrong(self, key: str, expected: str, found: str | None) -> AnnotationError:
        told = "nothing" if found is None else repr(found[:80])
        return AnnotationError(f"{self.where}: expected {expected} in {key}, found {told}; export it again")
