"""What a segmenting network is trained to answer: masks per class, and instances one by one.

About a class that was neither drawn on an image nor looked for there, the image says nothing: its pixels are
`UNKNOWN_CLASS`, not negative.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from model_library.annotations.maps import class_map, in_order, refuse_unknown_labels
from model_library.annotations.rasterise import rasterise
from model_library.annotations.shapes import AnnotatedImage
from model_library.errors import AnnotationError
from model_library.wire.tasks import UNKNOWN_CLASS

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class InstanceStack:
    """The instances of one image, each by itself, so that they may overlap.

    Attributes
    ----------
    masks
        bool [N, Y, X]; none is empty.
    labels
        int64 [N]; indices of the classes, of which 0 is the background.
    boxes
        float32 [N, 4]: x1 y1 x2 y2 in pixels, from the outer corner of the first pixel; tight.
    """

    masks: NDArray[np.bool_]
    labels: NDArray[np.int64]
    boxes: NDArray[np.float32]


def target_map(image: AnnotatedImage, classes: Sequence[str]) -> NDArray[np.uint8]:
    """Paint classes that exclude each other, and `UNKNOWN_CLASS` where nothing is said.

    Parameters
    ----------
    image
        With its annotations; a shape of the background's label is background for sure.
    classes
        Background first; their indices are the values of the map.

    Returns
    -------
    uint8 [Y, X]. Without shapes, a pixel is background if every class is known (see
    `AnnotatedImage.known`), else `UNKNOWN_CLASS`: it may belong to a class that nobody drew.

    Raises
    ------
    AnnotationError
        A label is none of the classes, or they are too many.
    """
    _refuse_many(classes)
    painted = class_map(image, classes)
    if set(classes[1:]) <= image.known:
        return painted
    drawn = np.zeros(painted.shape, dtype=bool)
    for annotation in image.annotations:
        placed = rasterise(annotation.shape, painted.shape)
        drawn[placed.window] |= placed.mask
    painted[~drawn] = UNKNOWN_CLASS
    return painted


def one_hot(image: AnnotatedImage, classes: Sequence[str], *, exclusive: bool = True) -> NDArray[np.uint8]:
    """Make one mask per class, as a U-Net is trained on.

    Parameters
    ----------
    image
        With its annotations.
    classes
        Background first.
    exclusive
        A pixel belongs to one class, the uppermost (see `target_map`). Otherwise a pixel may belong to
        several (a satellite on a particle), each class is known or unknown by itself, and the background is
        where all are known to be absent.

    Returns
    -------
    uint8 [C, Y, X]: 1 the class, 0 not the class, `UNKNOWN_CLASS` where nothing is said.

    Raises
    ------
    AnnotationError
        A label is none of the classes, or they are too many.
    """
    if exclusive:
        indices = target_map(image, classes)
        exactly = indices == np.arange(len(classes), dtype=np.uint8)[:, None, None]
        return np.where(indices == UNKNOWN_CLASS, np.uint8(UNKNOWN_CLASS), exactly.astype(np.uint8))
    _refuse_many(classes)
    refuse_unknown_labels(image, classes)
    masks = np.zeros((len(classes), image.height, image.width), dtype=np.uint8)
    for index, label in enumerate(classes[1:], 1):
        masks[index] = 0 if label in image.known else UNKNOWN_CLASS
    for annotation in in_order(image):
        placed = rasterise(annotation.shape, masks.shape[1:])
        masks[(classes.index(annotation.label), *placed.window)][placed.mask] = 1
    masks[0] = np.where(
        (masks[1:] == 1).any(axis=0), 0, np.where((masks[1:] == 0).all(axis=0), 1, UNKNOWN_CLASS)
    )
    return masks


def instance_stack(image: AnnotatedImage, classes: Sequence[str]) -> InstanceStack:
    """Rasterise every shape into a mask of its own, from the lowest to the uppermost.

    Parameters
    ----------
    image
        With its annotations; shapes without any pixel in the image, and those of the background's label, are
        left out. Large images with many shapes need memory for N x Y x X bytes: crop the drawing first
        (`drawings.cropped`).
    classes
        Background first.

    Raises
    ------
    AnnotationError
        A label is none of the classes.
    """
    refuse_unknown_labels(image, classes)
    size = (image.height, image.width)
    drawn = [(classes.index(each.label), rasterise(each.shape, size)) for each in in_order(image)]
    kept = [(index, placed) for index, placed in drawn if index > 0 and placed.mask.any()]
    masks = np.zeros((len(kept), *size), dtype=bool)
    boxes = np.zeros((len(kept), 4), dtype=np.float32)
    for number, (_, placed) in enumerate(kept):
        masks[(number, *placed.window)] = placed.mask
        rows, columns = np.flatnonzero(placed.mask.any(axis=1)), np.flatnonzero(placed.mask.any(axis=0))
        top, left = placed.top + rows[0], placed.left + columns[0]
        boxes[number] = left, top, placed.left + columns[-1] + 1, placed.top + rows[-1] + 1
    return InstanceStack(masks, np.array([index for index, _ in kept], dtype=np.int64), boxes)


def detection_target(image: AnnotatedImage, classes: Sequence[str]) -> "dict[str, Tensor]":
    """Make what torchvision's Mask R-CNN is trained on; parameters and refusals as in `instance_stack`.

    Returns
    -------
    `boxes` float32 [N, 4] (x1 y1 x2 y2), `labels` int64 [N] and `masks` uint8 [N, Y, X].
    """
    import torch

    stack = instance_stack(image, classes)
    return {
        "boxes": torch.from_numpy(stack.boxes),
        "labels": torch.from_numpy(stack.labels),
        "masks": torch.from_numpy(stack.masks.astype(np.uint8)),
    }


def _refuse_many(classes: Sequence[str]) -> None:
    if not 2 <= len(classes) <= UNKNOWN_CLASS:
        raise AnnotationError(
            f"expected a background and 1 to {UNKNOWN_CLASS - 1} classes, found {len(classes)} names; "
            "name the background first, then each class"
        )
