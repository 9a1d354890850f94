"""`synoptic coordinator federation`: begin a federation, follow it, end it; end a quarantine."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from coordinator.operator_client import ask, send
from coordinator.status_lines import cohort_line, federation_line, quality_lines, quarantine_line, round_line

app = typer.Typer(help="Let the instruments of a cohort learn together.", no_args_is_help=True)

Data = Annotated[Path, typer.Option("--data", help="Folder of the coordinator.")]
Json = Annotated[
    Path | None,
    typer.Option("--json", metavar="FILE", help="Write JSON to a file as well; `-` prints it alone."),
]


@app.command(epilog="Example: synoptic coordinator federation start --data /srv/synoptic")
def start(
    data: Data,
    cohort: Annotated[
        str | None, typer.Option(help="As `status` calls it; not needed where only one is ready.")
    ] = None,
    json_file: Json = None,
) -> None:
    """Begin a federation now; the schedule and `new_frames` in the settings begin others by themselves."""
    begun = send(data, "POST", "/v1/federations", {"cohort": cohort})
    _tell(json_file, begun, [f"{begun['federation_id']} begins; see `federation status`."])


@app.command(epilog="Example: synoptic coordinator federation status --data /srv/synoptic")
def status(
    data: Data,
    federation: Annotated[str | None, typer.Argument(help="Only this one; all of them otherwise.")] = None,
    json_file: Json = None,
) -> None:
    """Tell who could learn together, and of each round who contributed, and why the others did not."""
    told = ask(data)
    found = {name: told[name] for name in ("cohorts", "federations", "quarantine")}
    if federation is not None:
        found["federations"] = [each for each in found["federations"] if each["id"] == federation]
        if not found["federations"]:
            known = ", ".join(each["id"] for each in told["federations"]) or "none"
            raise typer.BadParameter(f"expected one of {known}, found {federation}")
    lines = [cohort_line(each) for each in found["cohorts"] if federation is None]
    if not found["cohorts"]:
        lines.append("No cohort yet: an instrument joins one with its first network.")
    for each in found["federations"]:
        lines.append(federation_line(each))
        lines += [f"  {round_line(record, len(each['start']['members']))}" for record in each["rounds"]]
        lines += [f"  {line}" for line in quality_lines(each)]
    lines += map(quarantine_line, found["quarantine"])
    _tell(json_file, found, lines)


@app.command(epilog="Example: synoptic coordinator federation stop --data /srv/synoptic")
def stop(
    data: Data,
    federation: Annotated[str | None, typer.Argument(help="The one under way where none is named.")] = None,
    json_file: Json = None,
) -> None:
    """End a federation that is under way; its rounds count for nothing, and nothing is released."""
    if federation is None:
        going_on = [each["id"] for each in ask(data)["federations"] if each["ended_at"] is None]
        if not going_on:
            raise typer.BadParameter("expected a federation under way, found none; see `federation status`")
        federation = going_on[0]
    told = send(data, "POST", f"/v1/federations/{federation}/stop", {})
    _tell(json_file, told, [f"{federation} is told to stop; see `federation status`."])


@app.command(epilog="Example: synoptic coordinator federation lift-quarantine 7f3a --data /srv/synoptic")
def lift_quarantine(
    instrument: Annotated[str, typer.Argument(help="Id of the instrument, as `status` tells it.")],
    data: Data,
    json_file: Json = None,
) -> None:
    """Let an instrument take part again that had sent updates which cannot be used."""
    told = send(data, "POST", f"/v1/federations/quarantine/{instrument}/lift", {})
    _tell(json_file, told, [f"{instrument} may take part again; what it sent until now is forgotten."])


def _tell(json_file: Path | None, found: Any, lines: list[str]) -> None:  # noqa: ANN401
    if json_file == Path("-"):
        typer.echo(json.dumps(found, indent=2))
        return
    if json_file is not None:
        json_file.write_text(json.dumps(found, indent=2))
    for line in lines:
        typer.echo(line)
