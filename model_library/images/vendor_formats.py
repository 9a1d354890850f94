"""Formats of vendors and of the cloud, decoded in a child process by the libraries of optional extras.

A child, as these libraries parse hostile files without bounds, and as RosettaSciIO is under the GPL:
it is run, never linked.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from model_library import errors
from model_library.errors import ChildDied, ChildRefused, ImageError, NotAnImage
from model_library.images.limits import ReadLimits
from model_library.images.pixel_size import PixelSize
from model_library.images.recording import Contents, Recording, checked
from model_library.processes.child import Child

DM, SER, EMI, EMD, HSPY, OME_ZARR = "DigitalMicrograph", "TIA SER", "TIA EMI", "EMD", "HSPY", "OME-Zarr"

_BEGINNINGS = {
    ".dm3": (b"\0\0\0\3", DM),
    ".dm4": (b"\0\0\0\4", DM),
    ".ser": (b"II\x97\1", SER),
    ".emi": (b"JK\0\2", EMI),
    ".emd": (b"\x89HDF\r\n\x1a\n", EMD),
    ".hspy": (b"\x89HDF\r\n\x1a\n", HSPY),
}
_LIBRARIES_BYTES = 3 << 30
_LARGEST_RATIO = 64
"""How many bytes of memory a byte of a compressed file may ask for, besides what the libraries need."""


def recognise(head: bytes, suffix: str) -> str | None:
    """Format by suffix (lower case) and first bytes, which must agree; None where it is none of these."""
    beginning, kind = _BEGINNINGS.get(suffix, (b"", None))
    return kind if head.startswith(beginning) else None


def read_vendor(path: Path, kind: str, limits: ReadLimits) -> Contents:
    """Read a file of a format of this module in a child process.

    Parameters
    ----------
    path
        The file or, for OME-Zarr, the folder.
    kind
        What `recognise` said.
    limits
        What is refused before decoding.

    Raises
    ------
    ImageError
        As `contents.read_contents`; a child that dies of a file, or is at it for too long, has met no
        image.
    """
    size = path.stat().st_size if path.is_file() else limits.max_bytes
    memory = _LIBRARIES_BYTES + min(2 * limits.max_bytes, _LARGEST_RATIO * size)
    with tempfile.TemporaryDirectory(prefix="synoptic-") as folder:
        child = Child(
            [sys.executable, "-m", "model_library.images.vendor_child", str(memory), str(limits.max_seconds)],
            log=Path(folder) / "child.log",
        )
        question = {
            "path": str(path.absolute()),
            "kind": kind,
            "folder": folder,
            "limits": [limits.max_pixels, limits.max_pages, limits.max_bytes],
        }
        try:
            answer = child.ask(question, limits.max_seconds)
            recordings = tuple(_received(told, Path(folder), path.name) for told in answer["recordings"])
        except ChildRefused as refusal:
            raise _same(refusal) from refusal
        except ChildDied as death:
            raise NotAnImage(
                f"{path.name}: expected {kind} that decodes, found that {str(death).partition(';')[0]}; "
                "export it as TIFF"
            ) from death
        finally:
            child.retire()
    return Contents(kind, recordings, tuple(answer["left_out"]))


def _received(told: dict[str, Any], folder: Path, name: str) -> Recording:
    recording = Recording(
        pixels=np.load(folder / told["file"]),
        axes=told["axes"],
        pixel_size=PixelSize(*told["pixel_size_nm"]),
        name=told["name"],
        metadata=told["metadata"],
    )
    return checked(recording, name)


def _same(refusal: ChildRefused) -> Exception:
    """Give the refusal the class that it had in the child."""
    kind = getattr(errors, refusal.code, None)
    if isinstance(kind, type) and issubclass(kind, ImageError):
        return kind(str(refusal))
    return OSError(str(refusal))
