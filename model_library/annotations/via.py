"""Reading annotations of the VGG Image Annotator (VIA) 2: a project, or its exported JSON.

VIA does not write the sizes of images, so they are to be given. Coordinates are CVAT's: from the outer
corner of the first pixel.
"""

import math
from collections.abc import Mapping
from typing import Any

from model_library.annotations.cvat import refuse_repeated
from model_library.annotations.json_values import JsonReader
from model_library.annotations.shapes import (
    AnnotatedImage,
    Annotation,
    Box,
    Ellipse,
    Polygon,
    Polyline,
    Shape,
)
from model_library.annotations.untrusted import parse_json, refuse_outside, refuse_size
from model_library.errors import AnnotationError

_PROJECT = "_via_img_metadata"


def read_via(
    content: bytes,
    name: str,
    sizes: Mapping[str, tuple[int, int]],
    *,
    label_attribute: str | None = None,
    line_width_px: float = 1.0,
) -> tuple[AnnotatedImage, ...]:
    """Read annotations of images.

    Parameters
    ----------
    content
        The JSON file.
    name
        What messages call the file.
    sizes
        Height and width in pixels of each image, by file name; see `reading.image_sizes`.
    label_attribute
        Attribute of a region that holds its label; may be left out where regions have only one.
    line_width_px
        Width of polylines.

    Returns
    -------
    Every image that the file lists, also those on which nothing was drawn. White space around labels is
    dropped.

    Raises
    ------
    AnnotationError
        The file is malformed, an image has no size, a region no area or no label.
    """
    document = JsonReader(parse_json(content, name), name)
    entries = document.at(_PROJECT) if _PROJECT in document else document
    images = []
    for _, entry in entries.members():
        file = entry.at("filename").text()
        refuse_outside(file, name)
        height, width = _size(file, sizes, name)
        annotations = tuple(
            _annotation(
                JsonReader(region.value, f"{name}, image {file}, region {number}"),
                label_attribute,
                line_width_px,
            )
            for number, region in enumerate(entry.at("regions").items(), 1)
        )
        images.append(AnnotatedImage(file, width, height, annotations))
    refuse_repeated(images, name)
    return tuple(images)


def read_via_labels(content: bytes, name: str) -> tuple[str, ...]:
    """Read the labels that a VIA project offers for choice; none where labels are free text."""
    document = JsonReader(parse_json(content, name), name)
    if "_via_attributes" not in document:
        return ()
    labels: list[str] = []
    for _, attribute in document.at("_via_attributes").at("region").members():
        if "options" in attribute:
            labels += [option.strip() for option, _ in attribute.at("options").members() if option.strip()]
    return tuple(dict.fromkeys(labels))


def _size(file: str, sizes: Mapping[str, tuple[int, int]], name: str) -> tuple[int, int]:
    if file not in sizes:
        raise AnnotationError(
            f"{name}: expected the size of image {file}, which VIA does not write, found none; give the "
            "folder that holds this image"
        )
    height, width = sizes[file]
    refuse_size(width, height, f"{name}, image {file}")
    return height, width


def _annotation(region: JsonReader, label_attribute: str | None, line_width_px: float) -> Annotation:
    shape = _shape(region.at("shape_attributes"), line_width_px)
    return Annotation(_label(region.at("region_attributes"), label_attribute), shape)


def _label(attributes: JsonReader, label_attribute: str | None) -> str:
    names = [key for key, _ in attributes.members()]
    if label_attribute is None and len(names) != 1:
        raise AnnotationError(
            f"{attributes.where}: expected one attribute that holds the label, found "
            f"{', '.join(names) or 'none'}; say which holds it (label_attribute), or label the region in VIA"
        )
    found = attributes.at(label_attribute or names[0])
    if isinstance(found.value, dict):
        # A check box: {"pore": true}.
        ticked: list[Any] = [key for key, value in found.value.items() if value is True]
        return JsonReader(ticked[0] if len(ticked) == 1 else ticked, found.where).text()
    return found.text()


def _shape(read: JsonReader, line_width_px: float) -> Shape:
    def numbers(*keys: str) -> tuple[float, ...]:
        return tuple(read.at(key).number() for key in keys)

    match read.at("name").text():
        case "polygon":
            return Polygon(_points(read, least=3))
        case "polyline":
            return Polyline(_points(read, least=2), line_width_px)
        case "rect":
            left, top, width, height = numbers("x", "y", "width", "height")
            return Box(left, top, left + width, top + height)
        case "circle":
            radius = read.at("r").positive()
            centre_x, centre_y = numbers("cx", "cy")
            return Ellipse(centre_x, centre_y, radius, radius)
        case "ellipse":
            # VIA before 2.0.8 knows no rotation; later ones tell it in radians, clockwise on the screen.
            turned = math.degrees(read.at("theta").number()) if "theta" in read else 0.0
            centre_x, centre_y = numbers("cx", "cy")
            radius_x, radius_y = read.at("rx").positive(), read.at("ry").positive()
            return Ellipse(centre_x, centre_y, radius_x, radius_y, turned)
        case other:
            raise AnnotationError(
                f"{read.where}: expected a polygon, polyline, rect, circle or ellipse, found {other}, which "
                "has no area; redraw it in VIA"
            )


def _points(read: JsonReader, least: int) -> tuple[tuple[float, float], ...]:
    xs, ys = read.at("all_points_x").numbers(), read.at("all_points_y").numbers()
    if len(xs) != len(ys) or len(xs) < least:
        raise AnnotationError(
            f"{read.where}: expected at least {least} points, as many x as y, found {len(xs)} and {len(ys)}; "
            "redraw the region"
        )
    return tuple(zip(xs, ys, strict=True))
