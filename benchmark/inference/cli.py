"""`synoptic benchmark inference`: its words."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class ContestNetwork(StrEnum):
    """Networks of the contest: a U-Net of 1.9 M parameters, and the baseline of EDSR."""

    UNET = "unet"
    EDSR_X2 = "edsr-x2"


def inference(
    peers: Annotated[
        bool, typer.Option("--peers", help="Beside the engine, MONAI (two ways) and bioimageio.core.")
    ] = False,
    sizes: Annotated[list[int] | None, typer.Option("--size", min=64, help="Side of a square image.")] = None,
    edsr_sizes: Annotated[
        list[int] | None, typer.Option("--edsr-size", min=64, help="Of EDSR x2, ten times the arithmetic.")
    ] = None,
    network: Annotated[
        list[ContestNetwork] | None, typer.Option(help="Only this network; may be given twice.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Turns that everybody takes.")] = 5,
    slow_rounds: Annotated[int, typer.Option(min=1, help="Of them, with the slow peers.")] = 1,
    threads: Annotated[int, typer.Option(min=1, help="Of the runs from file to file.")] = 2,
    file_sizes: Annotated[
        list[int] | None, typer.Option("--file-size", min=64, help="Of runs from file to file only.")
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Only this backend or peer (monai, monai-tuned, bioimageio); may be repeated."),
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write every figure to this file.")] = None,
) -> None:
    """Measure the inference engine: speed, error, seams and memory, of every backend that is installed.

    Speed is per CPU second of one thread, everybody in turn in one process; memory and the time to the
    first result are those of processes of their own.
    """
    from benchmark.inference.command import run_inference
    from benchmark.inference.measure import Contest

    asked = {
        ContestNetwork.UNET: tuple(sizes or (2048, 4096)),
        ContestNetwork.EDSR_X2: tuple(edsr_sizes or sizes or (2048, 4096)),
    }
    contest = Contest(
        {each.value: asked[each] for each in dict.fromkeys(network or ContestNetwork)},
        rounds=rounds,
        slow_rounds=min(rounds, slow_rounds),
        with_peers=peers,
        threads=threads,
        file_sizes=tuple(file_sizes or ()),
        only=tuple(only or ()),
    )
    run_inference(contest, json_file)


def register(app: typer.Typer) -> None:
    """Add the command to the group `benchmark`."""
    app.command(epilog="Example: synoptic benchmark inference --peers --json inference.json")(inference)
