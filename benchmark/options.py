"""Options that several commands share, and what they mean together."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from benchmark.micrographs import Degrading
    from model_library.wire.tasks import Task

LibraryOption = Annotated[
    Path | None, typer.Option("--library", help="Another library than the one that ships.")
]
TruthOption = Annotated[
    Path | None, typer.Option(exists=True, file_okay=False, help="Noise-free images of the same names.")
]
NoiseOption = Annotated[
    float | None,
    typer.Option(min=0.0, help="The images are clean: add noise, as a share of their 1-99 % range."),
]
DataOption = Annotated[
    Path | None,
    typer.Option(envvar="SYNOPTIC_SHARED_DATA", help="Folder of real micrographs, where some are asked for."),
]
CropOption = Annotated[int, typer.Option(min=64, help="Side of the crop that is scored, at full size.")]
SeedOption = Annotated[int, typer.Option(help="Places crops, draws noise and resamples.")]
JsonOption = Annotated[Path | None, typer.Option("--json", help="Write every figure to this file.")]
PageOption = Annotated[Path | None, typer.Option("--report", help="Write a page with plots and pictures.")]


def degrading(truth: Path | None, noise_sigma: float | None) -> "Degrading":
    """Tell how references are come by.

    Raises
    ------
    typer.BadParameter
        Both were given.
    """
    from benchmark.micrographs import Degrading

    if truth is not None and noise_sigma is not None:
        raise typer.BadParameter("give --truth or --noise-sigma, not both")
    return Degrading(truth, noise_sigma)


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


NAMED_METHOD = "library id, network folder, bioimage.io .zip or classical algorithm"
ImagesOption = Annotated[
    Path, typer.Option(exists=True, file_okay=False, help="TIFF, PNG or JPEG; or one sub-folder per site.")
]
LabelsOption = Annotated[
    Path | None, typer.Option(exists=True, dir_okay=False, help="CVAT, VIA or COCO file, for segmentation.")
]
TaskOption = Annotated[
    TaskName | None, typer.Option(help="Only where no network is named; else it is the network's.")
]
MostOption = Annotated[int | None, typer.Option(min=1, help="Read only the first files (of each site).")]
StrictOption = Annotated[bool, typer.Option("--strict", help="Exit with 1 unless the answer is yes.")]
