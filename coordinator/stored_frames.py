"""Accepted images of any format: a stored object has no suffix, without which some are not recognised."""

import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePath

from coordinator.store.objects import ObjectFolder
from coordinator.store.values import StoredImage
from model_library.images.contents import read_grey_frame
from model_library.images.durable import write_durably
from model_library.images.frame import Frame, Grey
from model_library.images.readers import read_stack
from model_library.images.tiff_pages import read_head
from model_library.images.vendor_formats import recognise
from model_library.images.writers import encode_acquisition

_SUFFIX = re.compile(r"\.[a-z0-9]{1,8}", re.ASCII)
_DECODED = ".decoded.ome.tif"


@contextmanager
def under_its_suffix(file: Path, file_name: str) -> Iterator[Path]:
    """Lend a path to a file that ends as the instrument's own name of it does.

    Parameters
    ----------
    file
        The bytes, under a name of ours.
    file_name
        What an instrument told: anything. Nothing but a plain suffix of it is used.
    """
    suffix = PurePath(file_name).suffix.lower()
    if not _SUFFIX.fullmatch(suffix):
        yield file
        return
    with tempfile.TemporaryDirectory(prefix="synoptic-") as folder:
        # Alone in its folder: a format whose files name others finds none.
        link = Path(folder, f"{file.name}{suffix}")
        link.symlink_to(file.absolute())
        yield link


def read_stored(objects: ObjectFolder, image: StoredImage) -> Frame:
    """Read an accepted image.

    What only a child process decodes, a second or so each time, is kept decoded beside the object.

    Raises
    ------
    Unknown
        Its object is not here.
    ImageError
        As `read_grey_frame`; not for an image that the intake accepted, with the same readers installed.
    """
    path = objects.get(image.sha256)
    decoded = path.with_name(f"{path.name}{_DECODED}")
    if decoded.is_file():
        # Not `read_grey_frame`: its data bar is off, and nothing more is to be taken for one.
        [frame] = read_stack(decoded)
        return frame
    with under_its_suffix(path, image.file_name) as file:
        frame = read_grey_frame(file)
        slow = recognise(read_head(file), file.suffix) is not None
    if slow:
        write_durably(decoded, encode_acquisition(frame))
    return frame


def pixels_of(objects: ObjectFolder, images: Sequence[StoredImage]) -> tuple[tuple[str, Grey], ...]:
    """Read accepted images: (field of view, float32 [Y, X] in counts)."""
    return tuple((image.field, read_stored(objects, image).grey) for image in images)
