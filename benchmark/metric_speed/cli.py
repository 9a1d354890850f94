"""`synoptic benchmark metrics`: its words."""

from pathlib import Path
from typing import Annotated

import typer


def metrics(
    side_px: Annotated[
        int, typer.Option(min=192, help="Side of the images that speeds are measured on.")
    ] = 2048,
    rounds: Annotated[
        int, typer.Option(min=0, help="Times that everybody is timed, in turn; 0 compares values only.")
    ] = 5,
    seed: Annotated[int, typer.Option(help="Draws the images.")] = 0,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write every figure to this file.")] = None,
) -> None:
    """Hold every metric against trusted implementations: equal values, and medians of CPU time on one thread.

    Some two minutes, most of it torchmetrics'. Exit code 1 if a value differs from its reference.
    """
    from benchmark.metric_speed.command import echo, run_metrics, write

    report = run_metrics(side_px, rounds, seed, tell=lambda words: typer.echo(words, err=True))
    if json_file is not None:
        write(report, json_file)
    echo(report)
    for words in report.shortfalls:
        typer.echo(f"slower than expected: {words}", err=True)
    if report.disagreements:
        typer.echo(
            f"expected the values of the references, found others of {', '.join(report.disagreements)};"
            " compare the versions of the libraries with docs/metrics.md",
            err=True,
        )
        raise typer.Exit(1)


def register(app: typer.Typer) -> None:
    """Add the command to the group `benchmark`."""
    app.command(epilog="Example: synoptic benchmark metrics --json metrics.json")(metrics)
