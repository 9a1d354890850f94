"""`synoptic site`: enrol, run, look, and reconstruct offline."""

import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from site_client.calibrate_cli import add_calibrate_command
from site_client.control_cli import add_control_commands
from site_client.rollback_cli import add_rollback_command
from site_client.service.cli import add_service_commands
from site_client.status_cli import add_status_command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from model_library.processes.child import Child
    from site_client.offline import OfflineResult, Wanted

app = typer.Typer(
    help="Run the daemon beside a microscope, or reconstruct files offline.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def site() -> None:
    """Let a command say itself what it did; the daemon logs to a file of its own."""
    import logging

    import structlog

    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


Folder = Annotated[Path, typer.Option(help="The site's folder: settings, identity, ledger, networks.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


@app.command(
    epilog="Example: synoptic site enrol https://host:8443 TOKEN --folder /srv/synoptic --name sem-2"
    " --acquisitions /data/sem-2 --task denoise --pixel-size-nm 4"
)
def enrol(
    url: Annotated[str, typer.Argument(help="The coordinator: https://host:port")],
    token: Annotated[str, typer.Argument(help="Printed by `synoptic coordinator enrol-token`; works once.")],
    folder: Folder,
    name: Annotated[str, typer.Option(help="Name of the site: a-z, 0-9 and -.")],
    acquisitions: Annotated[Path, typer.Option(help="Where the microscope writes its images.")],
    task: Annotated[
        str, typer.Option(help="denoise, super-resolve-x2 (-x3, -x4) or segment:background,CLASS")
    ] = "denoise",
    results: Annotated[Path | None, typer.Option(help="Where results go; default FOLDER/results.")] = None,
    pixel_size_nm: Annotated[float | None, typer.Option(help="For files that do not say it.")] = None,
    proxy: Annotated[str | None, typer.Option(help="HTTPS proxy, as http://host:port.")] = None,
    trust: Annotated[
        str,
        typer.Option(
            help="Certificates accepted besides the coordinator's: `coordinator` none, `system` this"
            " computer's, or a PEM file (for a proxy that looks into TLS)."
        ),
    ] = "coordinator",
    federate: Annotated[
        bool, typer.Option(help="Whether this site adapts networks to its images when a federation asks.")
    ] = True,
) -> None:
    """Make an identity for this microscope and register it, with a one-time token."""
    from pydantic import ValidationError

    from model_library.wire.tasks import parse_task
    from site_client.errors import SettingsError
    from site_client.identity import enrol as enrol_site
    from site_client.settings import SiteSettings, found_in

    try:
        settings = SiteSettings(
            coordinator_url=url.rstrip("/"),
            site_name=name,
            task=parse_task(task),
            pixel_size_nm=pixel_size_nm,
            acquisitions=acquisitions.resolve(),
            results=(results or folder / "results").resolve(),
            federate=federate,
            proxy=proxy,
            trust=trust,
        )
    except ValidationError as error:
        raise SettingsError(f"expected valid settings, found {found_in(error)}") from error
    identity = enrol_site(folder.resolve(), settings, token)
    typer.echo(f"Enrolled {name} as {identity.instrument_id}. Next: synoptic site run --folder {folder}")


@app.command(epilog="Example: synoptic site run --folder /srv/synoptic")
def run(folder: Folder) -> None:
    """Run the daemon until Ctrl-C or SIGTERM; it logs to FOLDER/log and shows itself in `site status`."""
    from site_client.daemon import run_daemon

    run_daemon(folder.resolve())


@app.command(epilog="Example: synoptic site reconstruct scan.tif clean.ome.tif --network unet-denoise-shot")
def reconstruct(
    source: Annotated[
        Path, typer.Argument(metavar="IN", help="A micrograph of any format, or a folder of them.")
    ],
    network: Annotated[str, typer.Option(help="Id of a network: see `synoptic library list`.")],
    target: Annotated[Path | None, typer.Argument(metavar="[OUT]", help="File or folder.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Processor cores to use.")] = 1,
    pixel_size_nm: Annotated[
        float | None, typer.Option(min=0.0, help="Side of a pixel, for files that do not say it.")
    ] = None,
    pixels: Annotated[
        Literal["resample", "refuse", "ignore"],
        typer.Option(help="Pixels more than 10 % outside of what the network was made for."),
    ] = "resample",
    precision: Annotated[
        Literal["float32", "auto"],
        typer.Option(help="In what to compute: as networks were judged, or whatever is fastest."),
    ] = "float32",
    self_ensemble: Annotated[
        bool,
        typer.Option(
            "--self-ensemble",
            help="Average over the eight ways to turn and mirror the image: better by a little, 8 x as slow.",
        ),
    ] = False,
    uncertainty: Annotated[
        bool,
        typer.Option(
            "--uncertainty",
            help="Write NAME-uncertainty.ome.tif too: the standard deviation of these eight in each pixel, in"
            " counts; again 8 x the time.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Reconstruct files offline with a network of the library; exit code 1 where any was refused."""
    import json

    from model_library.zoo.serving.places import user_cache
    from site_client.children import worker_child
    from site_client.offline import Wanted, beside, plan

    pairs = plan(source, target)
    wanted = Wanted(pixel_size_nm or None, pixels, "mean" if self_ensemble else None)
    passes = [(pairs, wanted)]
    if uncertainty:
        passes.append((beside(pairs), replace(wanted, ensemble="spread")))
    with tempfile.TemporaryDirectory() as logs:
        worker = worker_child(threads, 0, Path(logs) / "worker.log", cache=user_cache(), precision=precision)
        try:
            done = _reconstruct_with_progress(worker, network, passes)
        finally:
            worker.stop()
    if as_json:
        typer.echo(json.dumps([result.model_dump() for result in done], indent=2))
    else:
        for result in done:
            typer.echo(result.result or f"{result.source} refused: {result.reason}")
    if any(result.result is None for result in done):
        sys.exit(1)


def _reconstruct_with_progress(
    worker: "Child", network: str, passes: "Sequence[tuple[list[tuple[Path, Path]], Wanted]]"
) -> "list[OfflineResult]":
    """Reconstruct files, pass by pass, under a line that shows how far it is."""
    from rich.console import Console
    from rich.progress import Progress

    from site_client.offline import reconstruct_files

    done: list[OfflineResult] = []
    with Progress(console=Console(stderr=True)) as progress:
        line = progress.add_task("Loading", total=sum(len(pairs) for pairs, _ in passes))

        def told(path: Path, share: float) -> None:
            progress.update(line, description=path.name, advance=share)

        for pairs, wanted in passes:
            for result in reconstruct_files(worker, network, pairs, told=told, wanted=wanted):
                done.append(result)
                # Also where it was refused, or shares do not add up exactly.
                progress.update(line, completed=len(done))
    return done


add_calibrate_command(app)
add_control_commands(app)
add_rollback_command(app)
add_service_commands(app)
add_status_command(app)
