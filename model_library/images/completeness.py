"""Whether a file that an instrument may still be writing has reached the end that it announces."""

from pathlib import Path

from model_library.errors import ImageError, TruncatedImage
from model_library.images.directory import is_tiff, read_directories

_MAX_PAGES = 4096


def is_complete(path: Path) -> bool:
    """Whether a file is worth reading; cheap, decodes nothing, raises nothing.

    False for a TIFF whose directories, values or strips end beyond the file, for a file too short
    to tell, and for one that cannot be opened (yet). True for a whole TIFF and for everything that
    is not a TIFF: the reader says what is wrong with it. As a file may stay incomplete for ever (its writer
    crashed), the caller sets a time after which it is read, and thus refused, all the same.
    """
    try:
        with path.open("rb") as file:
            head = file.read(8)
            if len(head) < 8:
                return False
            if is_tiff(head):
                read_directories(file, path.name, _MAX_PAGES)
    except (TruncatedImage, OSError):
        return False
    except ImageError:
        return True
    return True
