"""Exporting images without labels as a task for CVAT: a zip of PNG images and `annotations.xml`."""

import io
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from coordinator.annotation.labels import Archive, segmenting
from coordinator.annotation.matching import exported_name
from coordinator.store.values import Instrument, StoredImage
from coordinator.stored_frames import read_stored
from model_library.annotations.cvat import MEMBER
from model_library.annotations.cvat_writing import write_cvat
from model_library.annotations.shapes import AnnotatedImage
from model_library.errors import AnnotationError
from model_library.images.durable import write_durably
from model_library.images.frame import Grey
from model_library.images.intensity import Scaling
from model_library.images.raster import encode_png

_TIME = (1980, 1, 1, 0, 0, 0)
"""The same in every archive, so that equal tasks are equal files."""


PREDICTED = "predictions.xml"
"""Beside the task and not in it: a task that is imported as it was written must not pass for labels."""

Predict = Callable[[StoredImage], AnnotatedImage]
"""Draws on an image, under its exported name, what an annotator is to correct."""


def export_task(
    archive: Archive,
    instrument: Instrument,
    out: Path,
    most: int | None = None,
    predict: Predict | None = None,
) -> int:
    """Write the images of an instrument that have no labels as a CVAT task.

    Parameters
    ----------
    out
        The zip file; replaced if it is there.
    most
        How many images at most, the oldest first.
    predict
        Makes drawings to correct; they are written as `PREDICTED`, in CVAT's own form.

    Returns
    -------
    How many images it holds.

    Raises
    ------
    AnnotationError
        The instrument does not segment, or every image has labels.
    """
    task = segmenting(instrument)
    images = to_label(archive, instrument, most)
    packed = io.BytesIO()
    listed = []
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as bundle:
        for image in images:
            visible = _visible(read_stored(archive.objects, image).grey)
            bundle.writestr(zipfile.ZipInfo(f"images/{exported_name(image)}", _TIME), encode_png(visible))
            height, width = visible.shape
            listed.append(AnnotatedImage(exported_name(image), width, height))
        described = write_cvat(listed, task.classes[1:], task=instrument.site_name)
        bundle.writestr(zipfile.ZipInfo(MEMBER, _TIME), described)
        if predict is not None:
            drawn = write_cvat(
                [predict(image) for image in images], task.classes[1:], task=instrument.site_name
            )
            bundle.writestr(zipfile.ZipInfo(PREDICTED, _TIME), drawn)
    write_durably(out, packed.getvalue())
    return len(listed)


def to_label(archive: Archive, instrument: Instrument, most: int | None = None) -> tuple[StoredImage, ...]:
    """Choose the images that `export_task` writes.

    Raises
    ------
    AnnotationError
        Every image has labels.
    """
    images = unlabelled(archive, instrument)[:most]
    if not images:
        raise AnnotationError(
            f"expected images of {instrument.id} without labels, found none; wait until it sends more"
        )
    return images


def unlabelled(archive: Archive, instrument: Instrument) -> tuple[StoredImage, ...]:
    """Choose the images of an instrument that have no labels, oldest first; equal contents once."""
    labelled = archive.annotations.labelled(instrument.id)
    images: Iterable[StoredImage] = sorted(archive.images.of(instrument.id), key=lambda image: image.sequence)
    chosen: dict[str, StoredImage] = {}
    for image in images:
        if image.sha256 not in labelled:
            chosen.setdefault(image.sha256, image)
    return tuple(chosen.values())


def _visible(pixels: Grey) -> NDArray[np.uint8]:
    """Stretch counts to the 8 bit that a browser shows: percentiles 1 and 99 become black and white."""
    return np.clip(np.rint(255 * Scaling.of(pixels).apply(pixels)), 0, 255).astype(np.uint8)
