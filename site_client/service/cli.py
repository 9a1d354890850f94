"""`synoptic site install-service|doctor`: make the daemon start at boot, and see why it does not work."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from site_client.doctor import Finding

Folder = Annotated[Path, typer.Option(help="The site's folder.")]


def add_service_commands(app: typer.Typer) -> None:
    """Add the commands to the group `site`."""
    app.command(
        "install-service",
        epilog="Example: sudo synoptic site install-service --folder /srv/synoptic --user microscope",
    )(install_service)
    app.command(epilog="Example: synoptic site doctor --folder /srv/synoptic")(doctor)


def install_service(
    folder: Folder,
    user: Annotated[
        str | None, typer.Option(help="Run as this user, for all (needs root); else for yourself.")
    ] = None,
    memory_gib: Annotated[float | None, typer.Option(min=0.5, help="Memory limit of all it starts.")] = None,
    system: Annotated[
        Literal["systemd", "windows"] | None, typer.Option(help="Default: that of this computer.")
    ] = None,
    show: Annotated[bool, typer.Option("--print", help="Print the definition, and install nothing.")] = False,
) -> None:
    """Make the daemon a service that starts at boot and again after a fault; checks it first."""
    from site_client.service.install import definition_of, install, service_of, this_system, verify_unit
    from site_client.settings import read_settings

    folder = folder.resolve()
    service = service_of(folder, read_settings(folder), user=user, memory_gib=memory_gib)
    kind = system or this_system()
    if show:
        text = definition_of(service, kind)
        if kind == "systemd":
            verify_unit(service, text)
        typer.echo(text, nl=False)
        return
    place, commands = install(service, kind)
    typer.echo(f"Wrote {place}. Next:")
    for command in commands:
        typer.echo(f"  {command}")


def doctor(
    folder: Folder,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Look at everything a site needs, and say what to do; exit code 1 where something fails."""
    import json

    from site_client.doctor import State, examine

    findings = list(examine(folder.resolve()))
    if as_json:
        typer.echo(json.dumps([finding.model_dump(mode="json") for finding in findings], indent=2))
    else:
        for finding in findings:
            typer.echo(_line(finding))
    if any(finding.state is State.FAILED for finding in findings):
        sys.exit(1)


def _line(finding: "Finding") -> str:
    remedy = "" if finding.remedy is None else f"\n{'':10}-> {finding.remedy}"
    return f"{finding.state.value:8}  {finding.subject}: {finding.found}{remedy}"
