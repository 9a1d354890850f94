"""Labelled images as cases: what a segmentation is scored on."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from coordinator.annotation.labels import Archive, drawing_of, labelled_images, segmenting
from coordinator.errors import Unknown
from coordinator.store.values import StoredImage
from coordinator.stored_frames import read_stored
from model_library.annotations.targets import target_map
from model_library.images.frame import Grey
from model_library.wire.tasks import UNKNOWN_CLASS, Segment

if TYPE_CHECKING:
    from benchmark.cases import Case


def labelled_cases(archive: Archive, images: Sequence[StoredImage]) -> "tuple[Case, ...]":
    """Make a case of each image on which every class is known; of equal contents one.

    Whole images, because a network and an algorithm scale grey values by the whole image, and
    because a crop may hold no object at all. The mask is that of everything but the background.

    Parameters
    ----------
    archive
        Usually the `Workplace`.
    images
        Of one split. Those without labels are left out, and those on which a class was neither drawn
        nor looked for: what a method finds there is neither right nor wrong.
    """
    from benchmark.cases import Case, Labels

    return tuple(
        Case(
            image.field,
            f"{image.sequence:06d}:{image.field}",
            pixels,
            Labels(classes > 0),
            pixel_size_nm=image.pixel_size_nm,
        )
        for image, pixels, classes in labelled_pixels(archive, images)
        if not (classes == UNKNOWN_CLASS).any()
    )


def labelled_pixels(
    archive: Archive, images: Sequence[StoredImage]
) -> tuple[tuple[StoredImage, Grey, NDArray[np.uint8]], ...]:
    """Read the images that have labels: float32 [Y, X] in counts, and class indices uint8 [Y, X].

    `UNKNOWN_CLASS` stands where no class was drawn and not every class was looked for.
    """
    read = []
    for image in labelled_images(archive, images):
        drawing = drawing_of(archive, image)
        assert drawing is not None
        pixels = read_stored(archive.objects, image).grey
        read.append((image, pixels, target_map(drawing, _task_of(archive, image).classes)))
    return tuple(read)


def _task_of(archive: Archive, image: StoredImage) -> Segment:
    instrument = archive.identities.find(image.instrument_id)
    if instrument is None:
        raise Unknown(f"expected instrument {image.instrument_id}, found none; restore the database")
    return segmenting(instrument)
