"""`synoptic benchmark trust|training-statistics`: their words."""

import json
from pathlib import Path
from typing import Annotated

import typer

from benchmark.options import (
    NAMED_METHOD,
    DataOption,
    ImagesOption,
    JsonOption,
    LibraryOption,
    MostOption,
    PageOption,
    SeedOption,
    StrictOption,
    TaskOption,
    TruthOption,
)


def register(app: typer.Typer) -> None:
    """Add the commands to the group `benchmark`."""
    app.command(
        epilog="Example: synoptic benchmark trust --network unet-denoise-shot --images scans/ --report t.html"
    )(trust)
    app.command(epilog="Example: synoptic benchmark training-statistics unet-denoise-shot --write")(
        training_statistics
    )


def trust(
    network: Annotated[str, typer.Option(help=f"What to check: {NAMED_METHOD}.")],
    images: ImagesOption,
    truth: TruthOption = None,
    task: TaskOption = None,
    library: LibraryOption = None,
    maps: Annotated[
        Path | None,
        typer.Option(file_okay=False, help="Write the half width of the 95 % interval of each image."),
    ] = None,
    at_most: MostOption = None,
    seed: SeedOption = 0,
    json_file: JsonOption = None,
    report_file: PageOption = None,
    strict: StrictOption = False,
) -> None:
    """Check whether a method can be trusted on images of one instrument; each check has a stated limit.

    Exit code 0 whatever the checks say (the JSON's `holds` tells), with `--strict` 1 if one fails;
    1 if network or images are refused.
    """
    from benchmark.trust.command import TrustRun, run_trust

    chosen = None if task is None else task.task
    asked = TrustRun(network, images, library, truth, chosen, maps, at_most, seed)
    if not run_trust(asked, json_file, report_file) and strict:
        raise typer.Exit(1)


def training_statistics(
    networks: Annotated[list[str], typer.Argument(metavar="ID...", help="Networks with a recipe.")],
    data: DataOption = None,
    write: Annotated[bool, typer.Option("--write", help="Keep them beside the card.")] = False,
    library: LibraryOption = None,
    json_file: JsonOption = None,
) -> None:
    """Measure what a network learned from, so that `trust` can tell images unlike it.

    Exit code 1 if a network, its recipe or its micrographs are missing.
    """
    from benchmark.trust.learned_from import statistics_of, write_statistics
    from model_library.zoo.recipe import read_recipe, recipe_path
    from model_library.zoo.registry import Library

    shelf, found = Library(library), []
    for network in networks:
        statistics = statistics_of(shelf.card(network), read_recipe(recipe_path(network)), data)
        if write:
            write_statistics(shelf.path(network), statistics)
        found.append(statistics.model_dump(mode="json"))
        typer.echo(f"{network}: {statistics.source}")
    if json_file is not None:
        json_file.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
