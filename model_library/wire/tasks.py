"""What an instrument wants done with its images."""

from typing import Annotated, Literal

from pydantic import Field

from model_library.errors import UnknownTask
from model_library.wire.base import Message

UNKNOWN_CLASS = 255
"""Class of a pixel of which nobody said anything: it counts in no loss and in no score."""


class Denoise(Message):
    """Estimate the noise-free image at the same sampling."""

    kind: Literal["denoise"] = "denoise"

    @property
    def scale(self) -> int:
        """Output pixels per input pixel along each axis."""
        return 1


class SuperResolve(Message):
    """Estimate the noise-free image at `scale` times the sampling along each axis."""

    kind: Literal["super_resolve"] = "super_resolve"
    scale: Literal[2, 3, 4]


class Segment(Message):
    """Assign one of `classes` (background first) to each pixel."""

    kind: Literal["segment"] = "segment"
    classes: tuple[str, ...] = Field(min_length=2)

    @property
    def scale(self) -> int:
        """Output pixels per input pixel along each axis."""
        return 1


Task = Annotated[Denoise | SuperResolve | Segment, Field(discriminator="kind")]


def parse_task(words: str) -> Task:
    """Read a task as the command line writes it.

    Parameters
    ----------
    words
        `denoise`, `super-resolve-x2` (x3, x4), or `segment:background,cell`.

    Raises
    ------
    UnknownTask
        The words are none of these.

    See Also
    --------
    task_in_words : the way back.
    """
    kind, _, classes = words.partition(":")
    names = tuple(name.strip() for name in classes.split(",") if name.strip())
    match kind:
        case "denoise":
            return Denoise()
        case "super-resolve-x2":
            return SuperResolve(scale=2)
        case "super-resolve-x3":
            return SuperResolve(scale=3)
        case "super-resolve-x4":
            return SuperResolve(scale=4)
        case "segment" if len(names) >= 2:
            return Segment(classes=names)
    raise UnknownTask(
        f"expected a task (denoise, super-resolve-x2, -x3, -x4, segment:background,CLASS), found {words!r}"
    )


def task_in_words(task: Task) -> str:
    """Write a task as the command line reads it."""
    match task:
        case Denoise():
            return "denoise"
        case SuperResolve():
            return f"super-resolve-x{task.scale}"
        case Segment():
            return f"segment:{','.join(task.classes)}"
