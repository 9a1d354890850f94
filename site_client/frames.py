"""What a site knows of a frame."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any, Literal

from model_library.wire.images import AcquisitionFacts
from model_library.wire.methods import MethodRef
from model_library.wire.tasks import Segment, Task

Order = Literal["in-order", "live", "every-k"]
"""Which waiting frame comes next: the oldest; the newest, and the older ones in their order when none has
come since; or the oldest of every k-th, and never the others."""

MISSING = "missing"
"""Reason of a frame whose file is gone; it waits again when the file comes back."""

UNREADABLE = "unreadable"
"""Reason of a file that this user may not read, or that another program holds; it is tried again."""

TRIED_AGAIN = (MISSING, UNREADABLE)
"""Reasons that say nothing of the file itself."""

CHANGED = "changed"
"""Reason of a frame whose file was rewritten before it was reconstructed."""


UNUSABLE = frozenset({"EmptyImage", "NotAnImage", "TruncatedImage", "UnsupportedImage", "NonFinitePixels"})
"""Codes of refusals that are the file's own fault: asking again does not help."""


class FrameState(StrEnum):
    """Where a frame stands; a frame is always in exactly one state."""

    WAITING = "waiting"
    RECONSTRUCTED = "reconstructed"
    SET_ASIDE = "set_aside"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells that a file changed, without reading it: size in bytes, mtime in nanoseconds."""

    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Header:
    """What the inspector found in a whole, readable file.

    `pixels` counts those of all `planes`, and in `colour` those of each channel that is restored by itself.
    """

    sha256: str
    pixels: int
    pixel_size_nm: float | None
    field: str | None
    acquisition: AcquisitionFacts | None = None
    planes: int = 1
    colour: bool = False


def header_of(answer: Mapping[str, Any], task: Task, default_pixel_size_nm: float | None) -> Header:
    """Take what `images.inspector` found, for a site with this task."""
    size, told, colour = answer["pixel_size_nm"], answer["acquisition"], answer["colour"]
    # Red, green and blue are restored one by one, but their luminance is classed once.
    channels = 3 if colour and not isinstance(task, Segment) else 1
    return Header(
        sha256=answer["sha256"],
        pixels=channels * answer["pixels"],
        planes=answer["planes"],
        colour=colour,
        pixel_size_nm=default_pixel_size_nm if size is None else size,
        field=answer["field"],
        acquisition=None if told is None else AcquisitionFacts.model_validate(told),
    )


@dataclass(frozen=True, slots=True)
class LedgerFrame:
    """One file of the acquisition folder as the ledger knows it.

    `sequence` counts accepted frames from 1 and is None for a file that was never one. `path` is
    relative to the acquisition folder, `result` to the results folder.
    """

    id: int
    sequence: int | None
    path: PurePosixPath
    stamp: Stamp
    sha256: str | None
    field: str | None
    pixel_size_nm: float | None
    state: FrameState
    reason: str | None
    method: MethodRef | None
    release_id: str | None
    result: str | None
    finished_at: float | None


@dataclass(frozen=True, slots=True)
class Finished:
    """A result that is durable on disk; `busy_s` is the worker's time for it."""

    method: MethodRef
    release_id: str | None
    result: str
    busy_s: float


@dataclass(frozen=True, slots=True)
class AcceptedFile:
    """The file of an accepted frame; `path` is relative to the acquisition folder."""

    path: str
    sha256: str
    field: str | None
