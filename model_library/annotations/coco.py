"""Reading COCO annotations of objects: polygons, run lengths (column by column), boxes."""

from typing import Any

import numpy as np

from model_library.annotations.cvat import refuse_repeated
from model_library.annotations.json_values import JsonReader
from model_library.annotations.rasterise import rasterise
from model_library.annotations.runs import decode_columns, expand_runs, pixel_mask
from model_library.annotations.shapes import AnnotatedImage, Annotation, Box, Polygon, Shape
from model_library.annotations.untrusted import parse_json, refuse_outside, refuse_size
from model_library.errors import AnnotationError


def read_coco(content: bytes, name: str) -> tuple[AnnotatedImage, ...]:
    """Read annotations of images.

    Parameters
    ----------
    content
        The JSON file.
    name
        What messages call the file.

    Returns
    -------
    Every image that the file lists. An object of several polygons is one shape, the union of its parts;
    one without a segmentation is its box.

    Raises
    ------
    AnnotationError
        The file is malformed, names images or categories that it does not list, or holds a crowd, whose
        instances are not told apart.
    """
    document = JsonReader(parse_json(content, name), name)
    labels = _labels(document)
    images: dict[int, AnnotatedImage] = {}
    for entry in document.at("images").items():
        images[entry.at("id").whole()] = _image(entry)
    refuse_repeated(images.values(), name)
    drawn: dict[int, list[Annotation]] = {number: [] for number in images}
    for entry in document.at("annotations").items():
        number = _listed(entry.at("image_id"), images)
        label = labels[_listed(entry.at("category_id"), labels)]
        drawn[number].append(Annotation(label, _shape(entry, images[number])))
    return tuple(
        AnnotatedImage(image.name, image.width, image.height, tuple(drawn[number]))
        for number, image in images.items()
    )


def read_coco_labels(content: bytes, name: str) -> tuple[str, ...]:
    """Read the names of the categories of a COCO file; refusals as in `read_coco`."""
    return tuple(_labels(JsonReader(parse_json(content, name), name)).values())


def _labels(document: JsonReader) -> dict[int, str]:
    return {each.at("id").whole(): each.at("name").text() for each in document.at("categories").items()}


def _image(entry: JsonReader) -> AnnotatedImage:
    file, width, height = entry.at("file_name").text(), entry.at("width").whole(), entry.at("height").whole()
    refuse_outside(file, entry.where)
    refuse_size(width, height, entry.where)
    return AnnotatedImage(file, width, height)


def _listed(number: JsonReader, known: dict[int, Any]) -> int:
    if number.whole() not in known:
        raise number.wrong("a number that the file lists")
    return number.whole()


def _shape(entry: JsonReader, image: AnnotatedImage) -> Shape:
    if "iscrowd" in entry and entry.at("iscrowd").value not in (0, False):
        raise AnnotationError(
            f"{entry.where}: expected single instances, found a crowd; outline its instances one by one, or "
            "delete it"
        )
    size = (image.height, image.width)
    found = entry.at("segmentation") if "segmentation" in entry else JsonReader(None, entry.where)
    if isinstance(found.value, dict):
        return _painted(found, size)
    parts = [] if found.value is None else [_polygon(part) for part in found.items()]
    if not parts:
        left, top, width, height = _four(entry.at("bbox"))
        return Box(left, top, left + width, top + height)
    return parts[0] if len(parts) == 1 else _union(parts, size, found)


def _painted(found: JsonReader, size: tuple[int, int]) -> Shape:
    told = [each.whole() for each in found.at("size").items()]
    if tuple(told) != size:
        raise found.wrong(f"run lengths of an image of {size[1]} x {size[0]} pixels")
    counts = found.at("counts")
    try:
        packed = isinstance(counts.value, str)
        runs = expand_runs(counts.value) if packed else tuple(each.whole() for each in counts.items())
        painted = pixel_mask(decode_columns(runs, size))
    except AnnotationError as error:
        raise AnnotationError(f"{found.where}: {error}") from error
    if painted is None:
        raise found.wrong("run lengths of at least one pixel")
    return painted


def _polygon(part: JsonReader) -> Polygon:
    flat = part.numbers()
    if len(flat) < 6 or len(flat) % 2:
        raise part.wrong("at least three pairs x, y")
    return Polygon(tuple(zip(flat[::2], flat[1::2], strict=True)))


def _union(parts: list[Polygon], size: tuple[int, int], found: JsonReader) -> Shape:
    painted = np.zeros(size, dtype=bool)
    for part in parts:
        placed = rasterise(part, size)
        painted[placed.window] |= placed.mask
    union = pixel_mask(painted)
    if union is None:
        raise found.wrong("polygons that hold at least one pixel of the image")
    return union


def _four(box: JsonReader) -> list[float]:
    found = box.numbers()
    if len(found) != 4:
        raise box.wrong("four numbers x, y, width, height")
    return found
