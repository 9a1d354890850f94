"""One thing that a label lint found."""

from typing import Literal

from model_library.wire.base import Message

Fault = Literal[
    "mixed_sizes",
    "other_size",
    "missing_image",
    "unlabelled_image",
    "unsearched_label",
    "unused_label",
    "hardly_any_area",
    "self_crossing",
    "looks_occluded",
    "hole_between",
]
"""Sizes that differ within the file, and from the image's; images that are not there, that have no shape,
that do not tell about a label; labels that no shape has; shapes of hardly any pixel, that cross themselves,
that end where another begins, that leave a hole between them."""


class Finding(Message):
    """What was found, where, and what to do about it.

    Attributes
    ----------
    image, label, shape
        Name of the image, label and number (from 1, in the order of the file) of the shape; None where the
        finding is about none.
    """

    fault: Fault
    image: str | None = None
    label: str | None = None
    shape: int | None = None
    found: str
    remedy: str

    def __str__(self) -> str:
        """One line for a person."""
        about = [self.image, self.label, None if self.shape is None else f"shape {self.shape}"]
        where = ", ".join(each for each in about if each is not None) or "the file"
        return f"{where}: {self.found} ({self.fault}); {self.remedy}"
