"""Options that several commands share."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from model_library.wire.tasks import Task

LibraryOption = Annotated[
    Path | None, typer.Option("--library", help="Another library than the one that ships.")
]


class TaskName(StrEnum):
    """Tasks that a folder of micrographs can be scored on."""

    DENOISE = "denoise"
    SUPER_RESOLVE_X2 = "super-resolve-x2"
    SUPER_RESOLVE_X4 = "super-resolve-x4"

    @property
    def task(self) -> "Task":
        """The task of this name."""
        from model_library.wire.tasks import Denoise, SuperResolve

        match self:
            case TaskName.DENOISE:
                return Denoise()
            case TaskName.SUPER_RESOLVE_X2:
                return SuperResolve(scale=2)
            case TaskName.SUPER_RESOLVE_X4:
                return SuperResolve(scale=4)
