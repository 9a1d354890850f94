"""Reading "CVAT for images 1.1": an XML file, or the zip in which CVAT exports it."""

import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterable

from model_library.annotations.cvat_elements import ElementReader, read_annotation, searched_label
from model_library.annotations.shapes import AnnotatedImage
from model_library.annotations.untrusted import member_of, parse_xml, refuse_outside, refuse_size
from model_library.errors import AnnotationError

MEMBER = "annotations.xml"
"""The file of annotations in a zip of CVAT's."""


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
    Every image that the file lists, also those on which nothing was drawn. A `<tag>` with the attribute
    `searched` set to true says that its label was looked for; other tags are ignored, since they say
    something about the image, nothing about its pixels.

    Raises
    ------
    AnnotationError
        The file is malformed or hostile, is no "CVAT for images 1.1", or holds shapes that have no area.
    """
    root = _annotations(content, name)
    images = tuple(_image(element, name, line_width_px) for element in root.iterfind("image"))
    refuse_repeated(images, name)
    return images


def read_cvat_labels(content: bytes, name: str) -> tuple[str, ...]:
    """Read the labels that the annotators of a CVAT file could choose from; refusals as in `read_cvat`."""
    meta = _annotations(content, name).find("meta")
    found = meta.iterfind(".//labels/label/name") if meta is not None else ()
    return tuple(dict.fromkeys(label.text for label in found if label.text))


def refuse_repeated(images: Iterable[AnnotatedImage], file: str) -> None:
    """Refuse a file that lists an image twice.

    Raises
    ------
    AnnotationError
        Which image.
    """
    names = Counter(image.name for image in images)
    twice = sorted(each for each, times in names.items() if times > 1)
    if twice:
        raise AnnotationError(
            f"{file}: expected each image once, found {', '.join(twice)} more often; merge them"
        )


def _annotations(content: bytes, name: str) -> ET.Element:
    root = parse_xml(member_of(content, MEMBER, name), name)
    version, video = root.findtext("version"), root.find("track") is not None
    if root.tag != "annotations" or video or version not in (None, "1.1"):
        told = f"<{root.tag}>, version {version or 'unknown'}{', of a video' if video else ''}"
        raise AnnotationError(
            f"{name}: expected the format CVAT for images 1.1, found {told}; export the annotations again"
        )
    return root


def _image(element: ET.Element, file: str, line_width_px: float) -> AnnotatedImage:
    read = ElementReader(element, f"{file}, image {element.get('name', '?')}")
    image, width, height = read.text("name"), read.whole("width"), read.whole("height")
    refuse_outside(image, file)
    refuse_size(width, height, read.where)
    annotations, searched = [], set()
    for number, each in enumerate(element, 1):
        where = f"{read.where}, shape {number}"
        if each.tag == "tag":
            searched.add(searched_label(each, where))
        else:
            annotations.append(read_annotation(each, where, (height, width), line_width_px))
    looked_for = frozenset(label for label in searched if label is not None)
    return AnnotatedImage(image, width, height, tuple(annotations), looked_for)
