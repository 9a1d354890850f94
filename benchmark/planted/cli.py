"""`synoptic benchmark planted`: its words."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class PlantedTaskName(StrEnum):
    """Tasks with planted instruments."""

    DENOISE = "denoise"
    SEGMENT = "segment"


def planted(
    work: Annotated[
        Path,
        typer.Option(file_okay=False, help="Keep the retrained networks here; a second run finds them."),
    ] = Path("planted-work"),
    tasks: Annotated[
        list[PlantedTaskName] | None, typer.Option("--task", help="Only this task (repeatable).")
    ] = None,
    domains: Annotated[int, typer.Option(min=1, max=5, help="Only the first planted instruments.")] = 5,
    networks: Annotated[int, typer.Option(min=3, help="Only the first networks of the library.")] = 12,
    side_px: Annotated[int, typer.Option(min=96, help="Side of a field of view.")] = 256,
    seed: Annotated[int, typer.Option(help="Draws specimens and noise.")] = 0,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write every figure to this file.")] = None,
) -> None:
    """Try the selection where the best network is known: simulated instruments with a hidden truth.

    The library is what ships for a task and short retrainings of it; the instruments have specimens,
    magnifications, optics and doses that no recipe has. Prints, for decisions on 1, 2 and 3 images and
    for every measure, the winner, what it loses to the true best and the rank correlation with the
    truth. The first run trains for some minutes. Exit code 1 if a network is refused.
    """
    from benchmark.planted.command import PlantedRun, run_planted

    asked = PlantedRun(
        tasks=tuple(task.value for task in tasks or PlantedTaskName),
        work=work,
        domains=domains,
        networks=networks,
        side_px=side_px,
        seed=seed,
    )
    run_planted(asked, json_file)


def register(app: typer.Typer) -> None:
    """Add the command to the group `benchmark`."""
    app.command(epilog="Example: synoptic benchmark planted --work work/ --json planted.json")(planted)
