"""Drawings as values: several files of the same images put together, labels renamed, a window cut out."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import assert_never

from model_library.annotations.rasterise import rasterise
from model_library.annotations.shapes import (
    AnnotatedImage,
    Box,
    Ellipse,
    PixelMask,
    Polygon,
    Polyline,
    Shape,
)
from model_library.errors import AnnotationError


def renamed(images: Iterable[AnnotatedImage], labels: Mapping[str, str]) -> tuple[AnnotatedImage, ...]:
    """Give labels other names; those that `labels` does not hold stay."""
    return tuple(
        dataclasses.replace(
            image,
            annotations=tuple(
                dataclasses.replace(each, label=labels.get(each.label, each.label))
                for each in image.annotations
            ),
            searched=frozenset(labels.get(label, label) for label in image.searched),
        )
        for image in images
    )


def merged(*files: Iterable[AnnotatedImage]) -> tuple[AnnotatedImage, ...]:
    """Put the annotations of several files together, by name of the image, those of the first file lowest.

    Raises
    ------
    AnnotationError
        Two files tell different sizes of an image.
    """
    together: dict[str, AnnotatedImage] = {}
    for image in (each for file in files for each in file):
        known = together.setdefault(image.name, AnnotatedImage(image.name, image.width, image.height))
        if (known.width, known.height) != (image.width, image.height):
            raise AnnotationError(
                f"expected one size of image {image.name}, found {known.width} x {known.height} and "
                f"{image.width} x {image.height}; merge annotations of the same image only"
            )
        together[image.name] = dataclasses.replace(
            known,
            annotations=known.annotations + image.annotations,
            searched=known.searched | image.searched,
        )
    return tuple(together.values())


def cropped(image: AnnotatedImage, window: tuple[slice, slice]) -> AnnotatedImage:
    """Cut a window out of a drawing.

    Parameters
    ----------
    image
        With its annotations.
    window
        Rows and columns, with start and stop, within the image.

    Returns
    -------
    Of the window's size; shapes keep what sticks out of it, and those without any pixel in it are gone.
    Labels that were known on the image are known in the window.
    """
    rows, columns = window
    size = (rows.stop - rows.start, columns.stop - columns.start)
    kept = []
    for annotation in image.annotations:
        shape = moved(annotation.shape, -columns.start, -rows.start)
        if rasterise(shape, size).mask.any():
            kept.append(dataclasses.replace(annotation, shape=shape))
    return AnnotatedImage(image.name, size[1], size[0], tuple(kept), image.known)


def moved(shape: Shape, right: int, down: int) -> Shape:
    """Move a shape by whole pixels."""
    match shape:
        case Polygon() | Polyline():
            return dataclasses.replace(shape, points=tuple((x + right, y + down) for x, y in shape.points))
        case Box():
            return dataclasses.replace(
                shape,
                left=shape.left + right,
                right=shape.right + right,
                top=shape.top + down,
                bottom=shape.bottom + down,
            )
        case Ellipse():
            return dataclasses.replace(shape, centre_x=shape.centre_x + right, centre_y=shape.centre_y + down)
        case PixelMask():
            return dataclasses.replace(shape, left=shape.left + right, top=shape.top + down)
        case _:
            assert_never(shape)
