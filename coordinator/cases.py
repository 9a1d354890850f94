"""From stored images to cases that methods are scored on."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from benchmark.splits import Split
from coordinator.annotation.cases import labelled_cases
from coordinator.errors import CannotAssess
from coordinator.findings import images_of, instrument_of, noise_of
from coordinator.store.values import Campaign, StoredImage
from coordinator.stored_frames import pixels_of
from coordinator.workplace import Workplace
from model_library.wire.tasks import Segment

if TYPE_CHECKING:
    from benchmark.cases import Case
    from model_library.degradation.noise import NoiseModel

_CROPS_TO_RACE_ON = 4
"""Of each image: enough for a race to tell near-ties by, and only they run them all."""


def cases_of(place: Workplace, campaign: Campaign, split: Split) -> "tuple[Case, ...]":
    """Cases on the images of a split; the same ones at every call.

    For restoration they are one crop of each image and need no truth; for segmentation they are the
    images on which every class is labelled.

    Raises
    ------
    CannotAssess
        No image of the campaign, or none with labels, fell into the split.
    """
    images = images_of(place, campaign, split)
    if isinstance(instrument_of(place, campaign).task, Segment):
        cases = labelled_cases(place, images)
        if not cases:
            message = (
                f"expected images in the {split} split on which every class is labelled, found none; label "
                "more fields, or import with --complete if what is not drawn is background"
            )
            raise CannotAssess(message)
        return cases
    if not images:
        message = f"expected images in the {split} split, found none; send images of more fields of view"
        raise CannotAssess(message)
    return restoring_cases(place, images, noise_of(campaign), place.rng("cases", split))


def restoring_cases(
    place: Workplace, images: Sequence[StoredImage], noise: "NoiseModel", rng: np.random.Generator
) -> "tuple[Case, ...]":
    """Cases on one crop of each image, by recorruption; see `repeat_cases`."""
    from benchmark.cases import repeat_cases

    cases = repeat_cases(
        pixels_of(place.objects, images), noise, rng, crop_px=place.settings.assessment.crop_px
    )
    return tuple(
        replace(case, pixel_size_nm=image.pixel_size_nm) for case, image in zip(cases, images, strict=True)
    )


def selection_cases(place: Workplace, campaign: Campaign) -> "tuple[Case, ...]":
    """Cases that networks are raced on; the same ones at every call.

    For restoration several crops of each tuning image, for super-resolution pairs at a coarser sampling;
    for segmentation those of `cases_of`.

    Raises
    ------
    CannotAssess
        As `cases_of`.
    """
    task = instrument_of(place, campaign).task
    if isinstance(task, Segment):
        return cases_of(place, campaign, Split.TUNING)
    from benchmark.selection.pairs import pair_cases

    images = images_of(place, campaign, Split.TUNING)
    if not images:
        message = "expected images in the tuning split, found none; send images of more fields of view"
        raise CannotAssess(message)
    return pair_cases(
        pixels_of(place.objects, images),
        noise_of(campaign),
        place.rng("selection"),
        scale=task.scale,
        crop_px=place.settings.assessment.crop_px * max(1, task.scale // 2),
        crops=_CROPS_TO_RACE_ON,
    )
