"""`synoptic coordinator`: found a coordinator, serve it, invite instruments, look at it."""

import json
import time
from pathlib import Path
from typing import Annotated

import typer

from coordinator.annotation_cli import app as annotations
from coordinator.federation_cli import app as federation
from coordinator.operator_client import ask
from coordinator.status_lines import status_lines

app = typer.Typer(
    help="Run the server that selects, tunes, benchmarks and releases networks.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

Data = Annotated[Path, typer.Option("--data", help="Folder of the coordinator.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


app.add_typer(annotations, name="annotations")
app.add_typer(federation, name="federation")


@app.command(epilog="Example: synoptic coordinator init --data /srv/synoptic --host synoptic.example.org")
def init(
    data: Data,
    host: Annotated[
        list[str] | None, typer.Option("--host", help="Name or address by which sites reach it; repeatable.")
    ] = None,
    port: Annotated[int, typer.Option(help="Port to serve on; 0 takes any free one.")] = 8443,
) -> None:
    """Make certificates, keys, databases and the release repository of a new coordinator."""
    from coordinator.founding import found

    found(data, host or ["127.0.0.1", "localhost"], port, time.time())
    typer.echo(
        f"A coordinator is founded in {data}; serve it with `synoptic coordinator serve --data {data}`."
    )


@app.command(epilog="Example: synoptic coordinator serve --data /srv/synoptic --address 0.0.0.0")
def serve(
    data: Data,
    port: Annotated[int | None, typer.Option(help="Instead of the one in settings.toml.")] = None,
    address: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
) -> None:
    """Serve until SIGTERM or Ctrl-C; `serving.json` tells the URL while it listens."""
    from coordinator.settings import read_settings

    settings = read_settings(data)
    # After the settings: a refusal should not wait for these imports.
    from coordinator.api import serving

    ended_well = serving.serve(settings, address, settings.port if port is None else port)
    serving.leave(0 if ended_well else 1)


@app.command(epilog="Example: synoptic coordinator enrol-token --data /srv/synoptic")
def enrol_token(data: Data, as_json: AsJson = False) -> None:
    """Print a one-time token with which one instrument can enrol."""
    from coordinator.founding import new_enrolment_token

    token = new_enrolment_token(data, time.time())
    typer.echo(json.dumps({"token": token}) if as_json else token)


@app.command(epilog="Example: synoptic coordinator status --data /srv/synoptic --json")
def status(data: Data, as_json: AsJson = False) -> None:
    """Ask the running server what each instrument does and has in service, and about federations."""
    found = ask(data)
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    for line in status_lines(found):
        typer.echo(line)
