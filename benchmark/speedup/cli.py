"""`synoptic benchmark speedup`: its words."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from benchmark.options import LibraryOption


class QualityName(StrEnum):
    """Figures of merit in which a restored image may equal a full acquisition."""

    PSNR = "psnr"
    SSIM = "ssim"


def speedup(
    network: Annotated[str, typer.Option(help="Id of a restoring network of the library.")],
    images: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="Clean micrographs; they are binned 2 x 2."),
    ] = None,
    simulated: Annotated[
        int, typer.Option(min=2, help="Without --images: so many simulated specimens.")
    ] = 12,
    electrons_per_pixel: Annotated[
        float, typer.Option(min=0.1, help="Of the full acquisition, at unit intensity.")
    ] = 300.0,
    read_electrons: Annotated[
        float, typer.Option(min=0.0, help="Standard deviation of the read noise, in electrons per pixel.")
    ] = 1.0,
    metric: Annotated[QualityName, typer.Option(help="What counts as quality.")] = QualityName.PSNR,
    library: LibraryOption = None,
    seed: Annotated[int, typer.Option(help="Draws specimens and noise.")] = 0,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write every figure to this file.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Write the curves as PNG.")] = None,
) -> None:
    """Find how many times fewer electrons a restored image needs to equal the full acquisition.

    Fewer electrons are a lower dose or a shorter dwell time; for a network that enlarges, also pixels
    that are not acquired. Exit code 1 if the network or the images are refused.
    """
    from benchmark.metrics import Metric
    from benchmark.speedup.command import SpeedupRun, run_speedup
    from benchmark.speedup.measure import FullAcquisition

    asked = SpeedupRun(
        network=network,
        library=library,
        images=images,
        specimens=simulated,
        full=FullAcquisition(electrons_per_pixel=electrons_per_pixel, read_electrons=read_electrons),
        metric=Metric(metric.value),
        seed=seed,
    )
    run_speedup(asked, json_file, plot)


def register(app: typer.Typer) -> None:
    """Add the command to the group `benchmark`."""
    app.command(epilog="Example: synoptic benchmark speedup --network unet-denoise-shot --json speedup.json")(
        speedup
    )
