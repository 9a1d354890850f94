"""What the annotations of one image say about its pixels."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from model_library.annotations.rasterise import rasterise
from model_library.annotations.shapes import AnnotatedImage, Annotation
from model_library.errors import AnnotationError


def class_map(image: AnnotatedImage, classes: Sequence[str]) -> NDArray[np.uint8]:
    """Paint the classes, from the lowest `z_order` up, equal ones in the order of drawing.

    Parameters
    ----------
    image
        A shape with the label of the background erases what lies below it.
    classes
        Background first; their indices are the values of the map.

    Returns
    -------
    uint8 [Y, X]; 0 where nothing was drawn.

    Raises
    ------
    AnnotationError
        A label is none of the classes.
    """
    refuse_unknown_labels(image, classes)
    painted = np.zeros((image.height, image.width), dtype=np.uint8)
    for annotation in in_order(image):
        placed = rasterise(annotation.shape, painted.shape)
        painted[placed.window][placed.mask] = classes.index(annotation.label)
    return painted


def instance_map(image: AnnotatedImage) -> NDArray[np.int32]:
    """Give every shape a number, from 1, in the order of `in_order`.

    Touching shapes stay apart; where they overlap, the upper one has the pixel.

    Parameters
    ----------
    image
        With its annotations.

    Returns
    -------
    int32 [Y, X]; 0 where nothing was drawn.
    """
    painted = np.zeros((image.height, image.width), dtype=np.int32)
    for number, annotation in enumerate(in_order(image), 1):
        placed = rasterise(annotation.shape, painted.shape)
        painted[placed.window][placed.mask] = number
    return painted


def in_order(image: AnnotatedImage) -> tuple[Annotation, ...]:
    """Sort the annotations of an image from the lowest to the uppermost."""
    return tuple(sorted(image.annotations, key=lambda annotation: annotation.z_order))


def refuse_unknown_labels(image: AnnotatedImage, classes: Sequence[str]) -> None:
    """Refuse labels that are none of the classes.

    Raises
    ------
    AnnotationError
        Which labels, in which image.
    """
    unknown = sorted({annotation.label for annotation in image.annotations} - set(classes))
    if unknown:
        raise AnnotationError(
            f"{image.name}: expected labels among {', '.join(classes)}, found {', '.join(unknown)}; "
            "rename the labels in CVAT, or enrol the instrument for these classes"
        )
