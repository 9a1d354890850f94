"""Whether images and labels can be trained on, told before any training starts."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from model_library.errors import RecipeError
from model_library.wire.base import Message
from model_library.wire.tasks import UNKNOWN_CLASS

_MOST_TOLD = 5


@dataclass(frozen=True, slots=True)
class MaterialImage:
    """One image that training is to see.

    Attributes
    ----------
    name
        Of its file, for refusals.
    pixels
        [Y, X], or [C, Y, X] for several channels; any real dtype, counts.
    pixel_size_nm
        Side of a pixel in nanometres; None where the file does not say.
    classes
        Class indices uint8 [Y, X], `losses.UNKNOWN_CLASS` where nobody labelled; None without labels.
    """

    name: str
    pixels: NDArray[Any]
    pixel_size_nm: float | None = None
    classes: NDArray[np.uint8] | None = None


class Demand(Message):
    """What a training needs of its images.

    `classes` are the names of the classes, the background first; None where no labels are needed.
    `negatives` says that an image without any annotation is an example of nothing being there.
    `pixel_size_ratio` is how much the largest pixel may exceed the smallest.
    """

    channels: int = Field(default=1, ge=1)
    side_px: int = Field(ge=1)
    images: int = Field(default=1, ge=1)
    classes: tuple[str, ...] | None = None
    negatives: bool = False
    pixel_size_ratio: float = Field(default=1.1, ge=1)


def shortcomings(images: Sequence[MaterialImage], demand: Demand) -> tuple[str, ...]:
    """Say what is wrong with training images, each with the file and the remedy; nothing if all is well."""
    alone = (fault for image in images for fault in _faults_of(image, demand))
    return (*alone, *_faults_together(images, demand))


def refuse_unfit(images: Sequence[MaterialImage], demand: Demand) -> None:
    """Refuse images and labels that cannot be trained on.

    Raises
    ------
    RecipeError
        The first shortcomings, and how many more there are.
    """
    found = shortcomings(images, demand)
    if found:
        more = f"\n({len(found) - _MOST_TOLD} more)" if len(found) > _MOST_TOLD else ""
        raise RecipeError("\n".join(found[:_MOST_TOLD]) + more)


def refuse_shared(training: Sequence[MaterialImage], held_out: Sequence[MaterialImage]) -> None:
    """Refuse held-out images that training sees, too, under whatever name.

    Raises
    ------
    RecipeError
        Which images are equal, pixel for pixel.
    """
    seen = {_digest(image.pixels): image.name for image in training}
    for image in held_out:
        name = seen.get(_digest(image.pixels))
        if name is not None:
            raise RecipeError(
                f"{image.name}: expected a held-out image that training does not see, found the pixels of "
                f"{name}; hold out images of other fields of view"
            )


def _faults_of(image: MaterialImage, demand: Demand) -> Iterator[str]:
    pixels = image.pixels
    channels = pixels.shape[0] if pixels.ndim == 3 else 1
    if pixels.ndim not in (2, 3) or channels != demand.channels:
        yield (
            f"{image.name}: expected {demand.channels} channel(s), found the shape {pixels.shape}; convert "
            "the image, or choose a network for its channels"
        )
    bad = int(pixels.size - np.count_nonzero(np.isfinite(pixels)))
    if bad:
        yield (
            f"{image.name}: expected finite grey values, found {bad} of {pixels.size} NaN or infinite; "
            "leave this image out, or replace these pixels before export"
        )
    if min(pixels.shape[-2:]) < demand.side_px:
        yield (
            f"{image.name}: expected sides of at least {demand.side_px} pixels (one patch), found "
            f"{pixels.shape[-2]} x {pixels.shape[-1]}; choose a smaller patch or larger images"
        )
    if demand.classes is not None:
        yield from _faults_of_labels(image, demand.classes, negatives=demand.negatives)


def _faults_of_labels(image: MaterialImage, names: tuple[str, ...], *, negatives: bool) -> Iterator[str]:
    classes = image.classes
    if classes is None:
        yield f"{image.name}: expected labels, found none; label this image or leave it out"
        return
    if classes.shape != image.pixels.shape[-2:]:
        yield (
            f"{image.name}: expected labels of {image.pixels.shape[-2]} x {image.pixels.shape[-1]} pixels, "
            f"found {classes.shape[0]} x {classes.shape[1]}; label the image at its own size"
        )
    present = {int(index) for index in np.unique(classes)} - {UNKNOWN_CLASS}
    strange = sorted(index for index in present if index >= len(names))
    if strange:
        yield (
            f"{image.name}: expected class indices below {len(names)} ({', '.join(names)}), found "
            f"{', '.join(map(str, strange))}; correct the labels or the list of classes"
        )
    if not negatives and not present - {0}:
        yield (
            f"{image.name}: expected an annotation, found only {names[0]} or nothing; label what is there, "
            "or leave this image out"
        )


def _faults_together(images: Sequence[MaterialImage], demand: Demand) -> Iterator[str]:
    if len(images) < demand.images:
        names = ", ".join(image.name for image in images) or "none"
        yield (
            f"expected at least {demand.images} images to train on, found {len(images)} ({names}); add images"
        )
    sized = [(image.pixel_size_nm, image.name) for image in images if image.pixel_size_nm is not None]
    if sized:
        (small, finest), (large, coarsest) = min(sized), max(sized)
        if large > demand.pixel_size_ratio * small:
            yield (
                f"{coarsest}: expected one pixel size (within a factor {demand.pixel_size_ratio:g}), found "
                f"{large:g} nm, and {small:g} nm in {finest}; resample them, or train on each size apart"
            )
    known = [image.classes for image in images if image.classes is not None]
    if demand.classes is not None and known:
        present = {int(index) for classes in known for index in np.unique(classes)}
        for index, name in enumerate(demand.classes):
            if index > 0 and index not in present:
                yield (
                    f"expected pixels of the class {name}, found none in {len(images)} images; label some, "
                    "or leave the class out"
                )


def _digest(pixels: NDArray[Any]) -> bytes:
    shape_and_type = f"{pixels.shape} {pixels.dtype}".encode()
    return hashlib.sha256(shape_and_type + np.ascontiguousarray(pixels).tobytes()).digest()
