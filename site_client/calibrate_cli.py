"""`synoptic site calibrate`: its words."""

from pathlib import Path
from typing import Annotated

import typer


def add_calibrate_command(app: typer.Typer) -> None:
    """Add the command to the group `site`."""
    app.command(epilog="Example: synoptic site calibrate --site /srv/synoptic --json compute.json")(calibrate)


def calibrate(
    site: Annotated[Path, typer.Option("--site", help="The site's folder.")],
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the figures to this file as well.")
    ] = None,
) -> None:
    """Measure once how fast this computer runs each family of networks; the heartbeat tells it.

    With the threads of the site's settings, on the backend that is fastest here. Takes minutes; a second
    time, only what changed.
    """
    from rich.console import Console

    from model_library.images.durable import write_durably
    from model_library.zoo.shipped import library_folder
    from site_client.calibration import calibrate as measure
    from site_client.calibration import family_members
    from site_client.children import engine_folder
    from site_client.compute import FILE_NAME, keep_compute
    from site_client.settings import read_settings

    folder = site.resolve()
    settings = read_settings(folder)
    progress = Console(stderr=True)
    facts = measure(
        family_members(library_folder()),
        engine_folder(settings, folder),
        settings.worker_threads,
        precision=settings.precision,
        begun=lambda family: progress.print(f"measuring {family}", style="dim"),
    )
    keep_compute(folder, facts)
    if json_file is not None:
        write_durably(json_file, (facts.model_dump_json(indent=2) + "\n").encode())
    for each in facts.families:
        typer.echo(f"{each.family}: {each.mpix_per_s:.3g} MPix/s at {each.flops_per_pixel} FLOP per pixel")
    typer.echo(f"{facts.engine}, {facts.threads} threads; kept in {folder / FILE_NAME}")
