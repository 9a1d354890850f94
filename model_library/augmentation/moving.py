"""Moving the planes of an image: grey values are interpolated, classes and instances are not."""

import math
from collections.abc import Callable, Sequence
from enum import Enum, auto

import torch
from torch import Tensor
from torch.nn import functional

from model_library.augmentation.batch import Batch, Instances
from model_library.wire.tasks import UNKNOWN_CLASS


class Content(Enum):
    """What planes hold, and so what becomes of places that no pixel is moved to."""

    GREY = auto()
    """Interpolated linearly; the mean of the plane outside."""
    CLASSES = auto()
    """The nearest pixel's class; `UNKNOWN_CLASS` outside."""
    INSTANCES = auto()
    """The nearest pixel; outside there is none."""


Move = Callable[[Tensor, Content], Tensor]
"""Planes [P, Y, X] of some content to planes [P, Y', X']."""


def moved(batch: Batch, moves: Sequence[Move]) -> Batch:
    """Move each image with everything that belongs to it; instances that leave it are gone.

    Parameters
    ----------
    batch
        N images.
    moves
        N moves, to one common size.
    """
    images = [move(image, Content.GREY) for image, move in zip(batch.images, moves, strict=True)]
    masks = batch.masks
    if masks is not None:
        masks = torch.stack([move(each, Content.CLASSES) for each, move in zip(masks, moves, strict=True)])
    instances = batch.instances
    if instances is not None:
        instances = tuple(
            Instances.of(move(each.masks, Content.INSTANCES), each.labels)
            for each, move in zip(instances, moves, strict=True)
        )
    return Batch(torch.stack(images), masks, instances)


def stay(planes: Tensor, content: Content) -> Tensor:
    """Leave planes as they are."""
    del content
    return planes


def cut(top: int, left: int, height: int, width: int) -> Move:
    """Cut a window out."""

    def move(planes: Tensor, content: Content) -> Tensor:
        del content
        return planes[:, top : top + height, left : left + width]

    return move


def mirrored(axis: int) -> Move:
    """Mirror along an axis of [P, Y, X]."""

    def move(planes: Tensor, content: Content) -> Tensor:
        del content
        return planes.flip(axis)

    return move


def quarter_turned(turns: int) -> Move:
    """Turn by so many right angles, clockwise on the screen."""

    def move(planes: Tensor, content: Content) -> Tensor:
        del content
        return torch.rot90(planes, -turns, (1, 2))

    return move


def turned_and_magnified(degrees: float, factor: float) -> Move:
    """Turn clockwise on the screen about the centre, and magnify, on a canvas of the same size."""
    cosine, sine = math.cos(math.radians(degrees)) / factor, math.sin(math.radians(degrees)) / factor

    def move(planes: Tensor, content: Content) -> Tensor:
        # An image without instances has no planes, which torch cannot sample.
        if not len(planes):
            return planes
        height, width = planes.shape[1:]
        # From where each pixel comes, in coordinates that run from -1 to 1 along each axis.
        back = [[cosine, sine * height / width, 0.0], [-sine * width / height, cosine, 0.0]]
        theta = torch.tensor([back], dtype=torch.float32, device=planes.device)
        grid = functional.affine_grid(theta, [1, 1, height, width], align_corners=False)
        return _sampled(planes, grid, content)

    return move


def resized(height: int, width: int) -> Move:
    """Bring to another size; grey values are averaged where that is smaller."""

    def move(planes: Tensor, content: Content) -> Tensor:
        if content is Content.GREY:
            return functional.interpolate(
                planes[None], (height, width), mode="bilinear", align_corners=False, antialias=True
            )[0]
        if not len(planes):
            return planes.new_zeros((0, height, width))
        found = functional.interpolate(planes[None].to(torch.float32), (height, width), mode="nearest-exact")
        return found[0].to(planes.dtype)

    return move


def _sampled(planes: Tensor, grid: Tensor, content: Content) -> Tensor:
    def sample(values: Tensor, mode: str, padding: str) -> Tensor:
        return functional.grid_sample(values[None], grid, mode, padding, align_corners=False)[0]

    if content is Content.INSTANCES:
        return sample(planes.to(torch.float32), "nearest", "zeros") > 0.5
    inside = sample(torch.ones_like(planes[:1], dtype=torch.float32), "nearest", "zeros") > 0.5
    if content is Content.CLASSES:
        found = sample(planes.to(torch.float32), "nearest", "border").to(torch.uint8)
        return torch.where(inside, found, UNKNOWN_CLASS)
    return torch.where(inside, sample(planes, "bilinear", "border"), planes.mean(dim=(1, 2), keepdim=True))
