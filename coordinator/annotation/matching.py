"""Which accepted image a file of annotations means: by its file name, or by the name of an export."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from coordinator.store.objects import ObjectFolder
from coordinator.store.values import Instrument, StoredImage
from coordinator.stored_frames import read_stored
from model_library.errors import AnnotationError

_DIGITS = 12
_EXPORTED = re.compile(rf"\d{{6,}}-([0-9a-f]{{{_DIGITS}}})\.png")

Known = dict[str, dict[str, StoredImage]]
"""What an annotator may know an image by -> images by digest."""


def exported_name(image: StoredImage) -> str:
    """File name of an image in a task for CVAT; an import recognises it by the digest."""
    return f"{image.sequence:06d}-{image.sha256[:_DIGITS]}.png"


def by_name(images: Sequence[StoredImage]) -> Known:
    """Find images by file name, or by the digits of an export."""
    known: Known = {}
    for image in images:
        for name in (image.file_name, image.sha256[:_DIGITS]):
            known.setdefault(name, {}).setdefault(image.sha256, image)
    return known


def match(called: str, known: Known, instrument: Instrument, file: str) -> StoredImage:
    """Find the image that is meant."""
    # CVAT prefixes names with the folder in which they were uploaded.
    name = PurePosixPath(called).name
    exported = _EXPORTED.fullmatch(name)
    found = known.get(name) or (known.get(exported.group(1)) if exported else None) or {}
    if len(found) != 1:
        told = f"{len(found)} images of this name" if found else "none of this name"
        raise AnnotationError(
            f"{file}: expected image {called} among those that {instrument.id} sent, found {told}; "
            "annotate images from `synoptic coordinator annotations export`, or keep their file names"
        )
    return next(iter(found.values()))


@dataclass(frozen=True, slots=True)
class Sizes(Mapping[str, tuple[int, int]]):
    """Height and width of each image that a file names, read when asked for."""

    objects: ObjectFolder
    instrument: Instrument
    known: Known
    file: str

    def __getitem__(self, name: str) -> tuple[int, int]:
        meant = match(name, self.known, self.instrument, self.file)
        height, width = read_stored(self.objects, meant).pixels.shape
        return height, width

    def __iter__(self) -> Iterator[str]:
        return iter(self.known)

    def __len__(self) -> int:
        return len(self.known)
