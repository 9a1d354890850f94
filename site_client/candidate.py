"""Whether a file in the acquisition folder may be read yet: decisions without a file system."""

import fnmatch
from dataclasses import dataclass
from enum import Enum, auto

from site_client.frames import Stamp

MICROGRAPHS = (*("*.tif", "*.tiff", "*.mrc", "*.dm3", "*.dm4", "*.ser", "*.emd", "*.hspy", "*.czi"),)
"""What instruments write. PNG and JPEG must be asked for: beside micrographs they are mostly previews."""

_TEMPORARY_PREFIXES = (".", "~")
_TEMPORARY_SUFFIXES = (".part", ".partial", ".tmp", ".temp", ".crdownload", ".swp", ".lock", "~")


class Look(Enum):
    """What to do with a candidate now."""

    WAIT = auto()
    LOOK = auto()
    LAST_LOOK = auto()


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that may become a frame.

    `changed_at` (monotonic seconds) is when its stamp was first seen; `closed` says that its
    writer closed it since; `looked` that this stamp was found to be incomplete.
    """

    stamp: Stamp
    changed_at: float
    closed: bool = False
    looked: bool = False


def decide(candidate: Candidate, now: float, *, settle_s: float, incomplete_s: float) -> Look:
    """Whether to read a candidate now.

    A file is read after a close event, or once its stamp stood still for `settle_s`; one that was
    incomplete then is read a last time after `incomplete_s`, to be set aside.
    """
    still_s = now - candidate.changed_at
    if still_s >= max(incomplete_s, settle_s):
        return Look.LAST_LOOK
    if not candidate.looked and (candidate.closed or still_s >= settle_s):
        return Look.LOOK
    return Look.WAIT


def is_wanted(name: str, patterns: tuple[str, ...]) -> bool:
    """Whether a file name, in whatever case, is one of an image that its writer has finished naming."""
    lower = name.lower()
    temporary = lower.startswith(_TEMPORARY_PREFIXES) or lower.endswith(_TEMPORARY_SUFFIXES)
    return not temporary and any(fnmatch.fnmatchcase(lower, pattern.lower()) for pattern in patterns)
