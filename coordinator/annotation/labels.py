"""Importing labels: each drawn image is matched with one that the instrument sent, or all is refused."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from coordinator.annotation.matching import Sizes, by_name, match
from coordinator.errors import Unknown
from coordinator.store.annotations import Annotations, StoredAnnotation
from coordinator.store.identities import Identities
from coordinator.store.images import Images
from coordinator.store.objects import ObjectFolder
from coordinator.store.values import Instrument, StoredImage
from coordinator.stored_frames import read_stored
from model_library.annotations.cvat import read_cvat
from model_library.annotations.cvat_writing import write_cvat
from model_library.annotations.maps import refuse_unknown_labels
from model_library.annotations.reading import read_annotations
from model_library.annotations.shapes import AnnotatedImage
from model_library.errors import AnnotationError
from model_library.wire.images import ImagePurpose
from model_library.wire.tasks import Segment


class Archive(Protocol):
    """The repositories that labels need; a `Workplace` has them."""

    @property
    def identities(self) -> Identities:
        """Instruments."""
        ...

    @property
    def images(self) -> Images:
        """Accepted images."""
        ...

    @property
    def annotations(self) -> Annotations:
        """Labels."""
        ...

    @property
    def objects(self) -> ObjectFolder:
        """Files of the images."""
        ...


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did: images taken in, shapes on them, images left out since nothing is drawn."""

    images: int
    shapes: int
    left_out: int


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """How a file is to be understood.

    Attributes
    ----------
    complete
        Every class was looked for on every image: where nothing is drawn is background, also on an
        image without any shape. Otherwise an image says nothing about a class that nobody drew on it,
        and one without any shape was not labelled yet.
    line_width_px
        Width of polylines that do not tell their own.
    label_attribute
        Attribute of VIA regions that holds their label, where they have several.
    """

    complete: bool = False
    line_width_px: float = 1.0
    label_attribute: str | None = None


def import_labels(
    archive: Archive, instrument: Instrument, file: Path, now: float, options: ImportOptions
) -> Imported:
    """Take in the labels of a file; all of them, or none.

    Parameters
    ----------
    file
        CVAT for images 1.1 (XML or zip), VIA 2 or COCO; its content tells which.
    now
        Seconds since 1970.

    Raises
    ------
    AnnotationError
        The instrument does not segment, or the file is missing or malformed, names other images, other
        sizes or other labels.
    """
    task = segmenting(instrument)
    known = by_name(archive.images.of(instrument.id))
    drawn = read_annotations(
        file,
        Sizes(archive.objects, instrument, known, file.name),
        label_attribute=options.label_attribute,
        line_width_px=options.line_width_px,
    ).images
    if options.complete:
        drawn = tuple(replace(image, searched=frozenset(task.classes[1:])) for image in drawn)
    wanted = [image for image in drawn if image.known]
    kept = []
    for image in wanted:
        refuse_unknown_labels(image, task.classes)
        meant = match(image.name, known, instrument, file.name)
        _refuse_other_size(image, read_stored(archive.objects, meant).pixels.shape, file.name)
        kept.append(
            StoredAnnotation(
                instrument_id=instrument.id,
                sha256=meant.sha256,
                drawing=write_cvat([image], task.classes).decode(),
                shapes=len(image.annotations),
                source=file.name,
                imported_at=now,
            )
        )
    _refuse_twice(kept, file.name)
    archive.annotations.keep(kept)
    return Imported(len(kept), sum(each.shapes for each in kept), len(drawn) - len(wanted))


def count(archive: Archive, instrument_id: str) -> int:
    """Count the first images of an instrument that have labels."""
    return len(labelled_images(archive, archive.images.of(instrument_id, ImagePurpose.FIRST)))


def labelled_images(archive: Archive, images: Iterable[StoredImage]) -> tuple[StoredImage, ...]:
    """Choose the images that have labels; equal contents once."""
    labelled: dict[str, frozenset[str]] = {}
    chosen: dict[str, StoredImage] = {}
    for image in images:
        if image.instrument_id not in labelled:
            labelled[image.instrument_id] = archive.annotations.labelled(image.instrument_id)
        if image.sha256 in labelled[image.instrument_id]:
            chosen.setdefault(image.sha256, image)
    return tuple(chosen.values())


def drawing_of(archive: Archive, image: StoredImage) -> AnnotatedImage | None:
    """Read what was drawn on an image; None where it has no labels."""
    found = archive.annotations.get(image.instrument_id, image.sha256)
    return None if found is None else read_cvat(found.drawing.encode(), found.source)[0]


def find_instrument(identities: Identities, name: str) -> Instrument:
    """Find an unrevoked instrument by its id, or by the name of its site.

    Raises
    ------
    Unknown
        There is none, or several sites have this name.
    """
    everyone = [each for each in identities.all() if each.revoked_at is None]
    found = [each for each in everyone if each.id == name] or [
        each for each in everyone if each.site_name == name
    ]
    if len(found) != 1:
        known = ", ".join(each.id for each in found or everyone) or "nobody"
        told = f"{len(found)} of this site name" if found else "none"
        raise Unknown(f"expected one instrument {name}, found {told}; give the id of one of: {known}")
    return found[0]


def segmenting(instrument: Instrument) -> Segment:
    """Tell the classes of an instrument.

    Raises
    ------
    AnnotationError
        It does not segment.
    """
    if not isinstance(instrument.task, Segment):
        raise AnnotationError(
            f"expected an instrument that segments, found {instrument.id}, whose task is "
            f"{instrument.task.kind}; labels serve segmentation only"
        )
    return instrument.task


def _refuse_other_size(image: AnnotatedImage, shape: tuple[int, ...], file: str) -> None:
    height, width = shape
    if (image.height, image.width) != (height, width):
        raise AnnotationError(
            f"{file}: expected {width} x {height} pixels for image {image.name}, found {image.width} x "
            f"{image.height}; annotate the image at its own size"
        )


def _refuse_twice(kept: Sequence[StoredAnnotation], file: str) -> None:
    if len({each.sha256 for each in kept}) < len(kept):
        raise AnnotationError(
            f"{file}: expected each image once, found one under two names; merge its annotations"
        )
