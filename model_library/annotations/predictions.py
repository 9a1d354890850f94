"""What a network predicts, as shapes that an annotator corrects in CVAT."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import approximate_polygon, find_contours

from model_library.annotations.runs import Mask, pixel_mask
from model_library.annotations.shapes import AnnotatedImage, Annotation, PixelMask, Polygon
from model_library.annotations.targets import InstanceStack
from model_library.errors import AnnotationError

Outline = Literal["mask", "polygon"]
"""How an instance is drawn: painted pixels, or an outline where one closed line can tell them."""

_EIGHT = np.ones((3, 3), dtype=int)
_TOLERANCE_PX = 0.3
"""Contours run at least 0.35 px from every pixel centre: moved by less, they hold the same centres."""


def draw_instances(
    name: str, instances: NDArray[np.integer], label: str, outline: Outline = "mask"
) -> AnnotatedImage:
    """Draw the instances of one class.

    Parameters
    ----------
    name
        File name of the image.
    instances
        Label image [Y, X]: 0 is background, every other number one instance.
    label
        Of all of them.
    outline
        With "polygon", instances with holes or of several parts are painted all the same.

    Returns
    -------
    Shapes that rasterise to exactly the same instances, in the order of their numbers; the label counts as
    searched, since the network looked at every pixel.

    Raises
    ------
    AnnotationError
        A number is negative, or the array has other axes.
    """
    if instances.ndim != 2 or (instances.size and instances.min() < 0):
        raise AnnotationError(
            f"{name}: expected a label image [Y, X] of numbers from 0, found axes {instances.shape} or a "
            "negative number; give one image, with 0 as background"
        )
    numbers = np.unique(instances[instances > 0])
    compact = np.searchsorted(numbers, instances) + 1
    compact[instances == 0] = 0
    shapes = []
    for number, window in enumerate(ndimage.find_objects(compact), 1):
        top, left = window[0].start, window[1].start
        shapes.append(Annotation(label, _drawn(compact[window] == number, top, left, outline)))
    height, width = instances.shape
    return AnnotatedImage(name, width, height, tuple(shapes), frozenset([label]))


def draw_stack(
    name: str, stack: InstanceStack, classes: Sequence[str], outline: Outline = "mask"
) -> AnnotatedImage:
    """Draw instances that may overlap, as Mask R-CNN predicts them: the first lowest.

    Parameters
    ----------
    name
        File name of the image.
    stack
        Instances; empty ones are left out.
    classes
        Background first; the labels of the stack are indices into them.
    outline
        As in `draw_instances`.

    Returns
    -------
    Shapes of which `targets.instance_stack` makes the same stack.

    Raises
    ------
    AnnotationError
        A label is that of the background, or beyond the classes.
    """
    if stack.labels.size and not 0 < stack.labels.min() <= stack.labels.max() < len(classes):
        raise AnnotationError(
            f"{name}: expected labels from 1 to {len(classes) - 1}, found {stack.labels.min()} to "
            f"{stack.labels.max()}; name every class, the background first"
        )
    shapes = [
        Annotation(classes[index], _drawn(mask, 0, 0, outline), number)
        for number, (mask, index) in enumerate(zip(stack.masks, stack.labels, strict=True))
        if mask.any()
    ]
    height, width = stack.masks.shape[1:]
    return AnnotatedImage(name, width, height, tuple(shapes), frozenset(classes[1:]))


def draw_classes(
    name: str, classes_of: NDArray[np.uint8], classes: Sequence[str], outline: Outline = "mask"
) -> AnnotatedImage:
    """Draw every connected object of a map of classes, one shape each.

    Parameters
    ----------
    name
        File name of the image.
    classes_of
        Class indices uint8 [Y, X].
    classes
        Background first.
    outline
        As in `draw_instances`.

    Raises
    ------
    AnnotationError
        An index is beyond the classes.
    """
    if classes_of.size and classes_of.max() >= len(classes):
        raise AnnotationError(
            f"{name}: expected class indices below {len(classes)}, found {classes_of.max()}; name every class"
        )
    shapes: list[Annotation] = []
    for index, label in enumerate(classes[1:], 1):
        objects, _ = ndimage.label(classes_of == index, structure=_EIGHT)
        shapes += draw_instances(name, np.asarray(objects), label, outline).annotations
    height, width = classes_of.shape
    return AnnotatedImage(name, width, height, tuple(shapes), frozenset(classes[1:]))


def _drawn(mask: Mask, top: int, left: int, outline: Outline) -> PixelMask | Polygon:
    painted = pixel_mask(mask, top, left)
    assert painted is not None
    if outline == "mask":
        return painted
    # Contours run between the centres of pixels, at half-way, which is where the outer corner is 0.5 away.
    contours = find_contours(np.pad(mask, 1).astype(np.float32), 0.5, fully_connected="high")  # type: ignore[no-untyped-call]
    if len(contours) != 1:
        return painted
    corners = approximate_polygon(contours[0], _TOLERANCE_PX)[:-1]  # type: ignore[no-untyped-call]
    if len(corners) < 3:
        return painted
    return Polygon(tuple((float(x) - 0.5 + left, float(y) - 0.5 + top) for y, x in corners))
