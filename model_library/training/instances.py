"""Images with their objects, one mask each, for networks that find instances."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import EllipsisType
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model_library.errors import RecipeError
from model_library.images.frame import Grey
from model_library.images.intensity import Scaling
from model_library.specimens import Instances
from model_library.training.labelled import jittered
from model_library.training.variations import Variations

T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True, slots=True)
class AnnotatedInstances:
    """Acquired images and the objects in them.

    Attributes
    ----------
    images
        float32 [Y, X], counts.
    instances
        Numbers of the objects of each image, int32 [L, Y, X].
    classes
        Class of each number, int64 [K + 1], from 1; the first entry is not used. None if there is
        one class alone.
    least_px
        Of an object that the border of a patch cuts, this many pixels must be left.
    """

    images: Sequence[Grey]
    instances: Sequence[Instances]
    classes: Sequence[NDArray[np.int64]] | None = None
    least_px: int = 9

    def __post_init__(self) -> None:
        shapes = [image.shape for image in self.images], [each.shape[1:] for each in self.instances]
        if not self.images or shapes[0] != shapes[1]:
            raise RecipeError(
                f"expected images and objects of equal shapes, found {shapes[0]} and {shapes[1]}; "
                "label the images at their own size"
            )

    def batch(
        self, size: int, patch_px: int, rng: np.random.Generator
    ) -> tuple[list[Tensor], list[dict[str, Tensor]]]:
        """See `objectives.InstanceSource`; turned and mirrored together, grey values jittered.

        Raises
        ------
        RecipeError
            An image is smaller than a patch.
        """
        drawn = [self._draw(patch_px, rng) for _ in range(size)]
        return [image for image, _ in drawn], [target for _, target in drawn]

    def _draw(self, patch_px: int, rng: np.random.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        number = int(rng.integers(len(self.images)))
        image, layers = self.images[number], self.instances[number]
        window = _window((image.shape[0], image.shape[1]), patch_px, rng)
        turns, mirrored = int(rng.integers(4)), bool(rng.integers(2))
        unit = jittered(Scaling.of(image).apply(image), rng)
        patch = _turned(unit[window], turns, mirrored)
        objects = _turned(layers[window], turns, mirrored)
        classes = None if self.classes is None else self.classes[number]
        return torch.from_numpy(patch[None]), _target(objects, classes, self.least_px)


@dataclass(frozen=True, slots=True)
class DegradedInstances:
    """Clean images with their objects, degraded anew for every patch; one class of objects.

    Attributes
    ----------
    pool
        Images [Y, X] in [0, 1] and the numbers of their objects, int32 [L, Y, X].
    variations
        The ranges from which each degradation is drawn; its scale is 1.
    least_px
        Of an object that the border of a patch cuts, this many pixels must be left.
    """

    pool: Sequence[tuple[Grey, Instances]]
    variations: Variations
    least_px: int = 9

    def batch(
        self, size: int, patch_px: int, rng: np.random.Generator
    ) -> tuple[list[Tensor], list[dict[str, Tensor]]]:
        """See `objectives.InstanceSource`; raises `RecipeError` where an image is smaller than a patch."""
        drawn = [self._draw(patch_px, rng) for _ in range(size)]
        return [image for image, _ in drawn], [target for _, target in drawn]

    def _draw(self, patch_px: int, rng: np.random.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        clean, layers = self.pool[int(rng.integers(len(self.pool)))]
        acquired, _ = self.variations.acquire(self.variations.restyle(clean, rng), rng)
        unit = Scaling.of(acquired).apply(acquired)
        window = _window((unit.shape[0], unit.shape[1]), patch_px, rng)
        turns, mirrored = int(rng.integers(4)), bool(rng.integers(2))
        objects = _turned(layers[window], turns, mirrored)
        patch = _turned(unit[window], turns, mirrored)
        return torch.from_numpy(patch[None]), _target(objects, None, self.least_px)


def _window(
    shape: tuple[int, int], patch_px: int, rng: np.random.Generator
) -> tuple[EllipsisType, slice, slice]:
    height, width = shape
    if min(height, width) < patch_px:
        raise RecipeError(
            f"expected images of at least {patch_px} x {patch_px} pixels (one patch), "
            f"found {height} x {width}; choose a smaller patch or larger images"
        )
    top, left = int(rng.integers(height - patch_px + 1)), int(rng.integers(width - patch_px + 1))
    return ..., slice(top, top + patch_px), slice(left, left + patch_px)


def _target(layers: NDArray[np.int32], classes: NDArray[np.int64] | None, least_px: int) -> dict[str, Tensor]:
    kept = [
        (int(number), layer == number)
        for layer in layers
        for number, pixels in zip(*np.unique(layer, return_counts=True), strict=True)
        if number > 0 and pixels >= least_px
    ]
    masks = [mask for _, mask in kept]
    labels = [1 if classes is None else int(classes[number]) for number, _ in kept]
    stacked = np.stack(masks) if masks else np.zeros((0, *layers.shape[1:]), bool)
    return {
        "boxes": torch.tensor([_box(mask) for mask in masks], dtype=torch.float32).reshape(-1, 4),
        "labels": torch.tensor(labels, dtype=torch.int64),
        "masks": torch.from_numpy(stacked.astype(np.uint8)),
    }


def _turned(pixels: NDArray[T], turns: int, mirrored: bool) -> NDArray[T]:
    turned = np.rot90(pixels, turns, axes=(-2, -1))
    return np.ascontiguousarray(turned[..., ::-1] if mirrored else turned)


def _box(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Tight box x1, y1, x2, y2, from the outer corner of the first pixel."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
