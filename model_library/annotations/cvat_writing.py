"""Writing "CVAT for images 1.1"; `cvat.read_cvat` gives back what was written."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from typing import assert_never

from model_library.annotations.cvat_elements import SEARCHED, WIDTH
from model_library.annotations.shapes import (
    AnnotatedImage,
    Annotation,
    Box,
    Ellipse,
    PixelMask,
    Point,
    Polygon,
    Polyline,
)
from model_library.annotations.untrusted import refuse_outside
from model_library.errors import AnnotationError

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_cvat(images: Sequence[AnnotatedImage], labels: Sequence[str], *, task: str = "synoptic") -> bytes:
    """Write images with their annotations as one XML file.

    Parameters
    ----------
    images
        Also those without annotations, which an annotator is to see.
    labels
        That the annotator may choose from.
    task
        Name of the task in CVAT.

    Raises
    ------
    AnnotationError
        A name or label holds characters that XML cannot carry, or a name leaves the folder of images.
    """
    root = ET.Element("annotations")
    ET.SubElement(root, "version").text = "1.1"
    described = ET.SubElement(ET.SubElement(root, "meta"), "task")
    ET.SubElement(described, "name").text = _carried(task)
    ET.SubElement(described, "size").text = str(len(images))
    choices = ET.SubElement(described, "labels")
    for label in labels:
        choice = ET.SubElement(choices, "label")
        ET.SubElement(choice, "name").text = _carried(label)
        ET.SubElement(choice, "attributes")
    for number, image in enumerate(images):
        refuse_outside(image.name, task)
        told = {"id": number, "name": _carried(image.name), "width": image.width, "height": image.height}
        element = ET.SubElement(root, "image", _texts(told))
        for label in sorted(image.searched):
            tag = ET.SubElement(element, "tag", {"label": _carried(label), "source": "manual"})
            ET.SubElement(tag, "attribute", {"name": SEARCHED}).text = "true"
        for annotation in image.annotations:
            _write(element, annotation)
    ET.indent(root)
    written: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return written


def _write(image: ET.Element, annotation: Annotation) -> None:
    shape = annotation.shape
    common = {"label": _carried(annotation.label), "source": "manual", "occluded": int(annotation.occluded)}
    match shape:
        case Polygon():
            tag, told = "polygon", {"points": _points(shape.points)}
        case Polyline():
            tag, told = "polyline", {"points": _points(shape.points)}
        case Box():
            corners = {"xtl": shape.left, "ytl": shape.top, "xbr": shape.right, "ybr": shape.bottom}
            tag, told = "box", _texts({**corners, "rotation": shape.rotation_deg})
        case Ellipse():
            place = {"cx": shape.centre_x, "cy": shape.centre_y, "rx": shape.radius_x, "ry": shape.radius_y}
            tag, told = "ellipse", _texts({**place, "rotation": shape.rotation_deg})
        case PixelMask():
            place = {"left": shape.left, "top": shape.top, "width": shape.width, "height": shape.height}
            tag, told = "mask", {"rle": ", ".join(map(str, shape.runs)), **_texts(place)}
        case _:
            assert_never(shape)
    element = ET.SubElement(image, tag, {**_texts(common), **told, "z_order": str(annotation.z_order)})
    if isinstance(shape, Polyline):
        ET.SubElement(element, "attribute", {"name": WIDTH}).text = repr(float(shape.width_px))


def _points(points: Sequence[Point]) -> str:
    return ";".join(f"{float(x)!r},{float(y)!r}" for x, y in points)


def _texts(values: Mapping[str, object]) -> dict[str, str]:
    return {key: value if isinstance(value, str) else repr(value) for key, value in values.items()}


def _carried(text: str) -> str:
    found = _NOT_XML.search(text)
    if found or not text:
        raise AnnotationError(
            f"expected a name that XML can carry, found {text[:80]!r}; rename the image or the label"
        )
    return text
