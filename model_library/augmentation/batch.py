"""What augmentation works on: images with everything that is known about their pixels, moved together."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from model_library.errors import RecipeError


@dataclass(frozen=True, slots=True, eq=False)
class Instances:
    """Instances of one image, each with its own mask, so that they may overlap.

    Attributes
    ----------
    masks
        bool [M, Y, X]; none is empty (`of` drops those that are).
    labels
        int64 [M]; 0 is the background, which is no instance.
    """

    masks: Tensor
    labels: Tensor

    @classmethod
    def of(cls, masks: Tensor, labels: Tensor) -> "Instances":
        """Keep the instances [M, Y, X] that have a pixel, with their labels [M]."""
        kept = masks.flatten(1).any(dim=1)
        return cls(masks[kept].bool(), labels[kept].to(torch.int64))

    @property
    def boxes(self) -> Tensor:
        """Tight boxes, float32 [M, 4]: x1 y1 x2 y2 in pixels, from the outer corner of the first pixel."""
        left, right = _ends(self.masks.any(dim=1))
        top, bottom = _ends(self.masks.any(dim=2))
        return torch.stack((left, top, right, bottom), dim=1).to(torch.float32)

    def detection_target(self) -> dict[str, Tensor]:
        """Name them as torchvision's Mask R-CNN does: `boxes`, `labels`, and `masks` as uint8."""
        return {"boxes": self.boxes, "labels": self.labels, "masks": self.masks.to(torch.uint8)}


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Images of one size and what is known about them.

    Attributes
    ----------
    images
        float32 [N, C, Y, X], on the unit scale of training.
    masks
        uint8 [N, K, Y, X]: class indices (K = 1), or one mask per class; `UNKNOWN_CLASS` where nothing
        is known. None where classes are not wanted.
    instances
        One entry per image; None where instances are not wanted.

    Raises
    ------
    RecipeError
        Axes, sizes, numbers or types do not fit together.
    """

    images: Tensor
    masks: Tensor | None = None
    instances: tuple[Instances, ...] | None = None

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or self.images.dtype != torch.float32:
            raise _misfit("images float32 [N, C, Y, X]", self.images)
        number, size = len(self.images), self.images.shape[2:]
        masks = self.masks
        if masks is not None and (
            masks.dtype != torch.uint8 or masks.shape != (number, *masks.shape[1:2], *size)
        ):
            raise _misfit(f"masks uint8 [{number}, K, {size[0]}, {size[1]}]", masks)
        if self.instances is None:
            return
        if len(self.instances) != number:
            raise RecipeError(
                f"expected instances of each of {number} images, found {len(self.instances)}; give images "
                "without instances an empty entry"
            )
        for each in self.instances:
            if each.masks.shape != (len(each.labels), *size):
                raise _misfit(f"masks of instances [{len(each.labels)}, {size[0]}, {size[1]}]", each.masks)


def stacked(batches: Sequence[Batch]) -> Batch:
    """Put batches of the same size and kind one after the other.

    Raises
    ------
    RecipeError
        There is none, some lack masks or instances that others have, or sizes differ.
    """
    kinds = {(each.images.shape[1:], each.masks is None, each.instances is None) for each in batches}
    if len(kinds) != 1:
        raise RecipeError(
            f"expected batches of one size, all with masks and instances or none, found {len(kinds)} kinds; "
            "crop or resize them alike"
        )
    masks = [each.masks for each in batches if each.masks is not None]
    instances = [each.instances for each in batches if each.instances is not None]
    return Batch(
        images=torch.cat([each.images for each in batches]),
        masks=torch.cat(masks) if masks else None,
        instances=tuple(one for each in instances for one in each) if instances else None,
    )


def _ends(occupied: Tensor) -> tuple[Tensor, Tensor]:
    """Find the first place, and that behind the last, of each row that is not empty: [M, L] -> [M], [M]."""
    first = occupied.to(torch.uint8).argmax(dim=1)
    last = occupied.shape[1] - occupied.flip(1).to(torch.uint8).argmax(dim=1)
    return first, last


def _misfit(expected: str, found: Tensor) -> RecipeError:
    return RecipeError(
        f"expected {expected}, found {str(found.dtype).removeprefix('torch.')} {list(found.shape)}; bring "
        "them to one size and type"
    )
