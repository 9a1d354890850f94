"""Which images may be used for what: decided on arrival, for good, by field of view."""

from collections import Counter
from collections.abc import Mapping
from enum import StrEnum


class Split(StrEnum):
    """The one purpose that a field of view serves.

    `TUNING` selects networks, tunes classical parameters and fine-tunes; `GATE` gives the verdict;
    `REPORT` is only ever reported on and monitored.
    """

    TUNING = "tuning"
    GATE = "gate"
    REPORT = "report"


SHARES: Mapping[Split, int] = {Split.TUNING: 3, Split.GATE: 2, Split.REPORT: 2}


def field_key(frame_field: str | None, sha256: str) -> str:
    """Name of the field of view that an image belongs to.

    Parameters
    ----------
    frame_field
        The stage label that the image carries, if any.
    sha256
        Digest of the image's file; an image without a stage label is a field of its own.
    """
    if frame_field and frame_field.strip():
        return f"stage:{frame_field.strip()}"
    return f"image:{sha256}"


def assign(field: str, taken: Mapping[str, Split]) -> Split:
    """Split of a field, given the fields that were assigned before it.

    A field that was seen before keeps its split. A new one goes to the split that lags furthest
    behind its share (3:2:2), ties in the order tuning, gate, report; so after any number of fields
    each split is less than one field away from its share.
    """
    if field in taken:
        return taken[field]
    counts = Counter(taken.values())
    arrived, total = len(taken) + 1, sum(SHARES.values())
    return max(Split, key=lambda split: arrived * SHARES[split] - total * counts[split])
