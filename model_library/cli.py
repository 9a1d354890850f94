"""The command `synoptic`: collects the groups that the installed packages contribute.

A package names its group under the entry-point group `synoptic.commands`, so the ground floor
imports nothing above it, and a group is imported only when it is asked for.
"""

import inspect
import sys
from importlib.metadata import EntryPoint, entry_points
from typing import get_type_hints

import click
import typer
from typer.main import get_command
from typer.models import ArgumentInfo

from model_library.errors import SynopticError

_SUMMARIES = {
    "benchmark": "Score networks against classical algorithms.",
    "coordinator": "Run the server that selects, tunes, benchmarks and releases networks.",
    "demo": "The whole loop on this machine, from acquisition to report.",
    "library": "The networks that ship, their cards, and how they were trained.",
    "simulate": "A whole fleet of instruments in Flower's simulation engine.",
    "site": "Run the daemon beside a microscope, or reconstruct files offline.",
}


def _load(entry: EntryPoint) -> click.Command:
    loaded = entry.load()
    if isinstance(loaded, typer.Typer):
        return _with_help(get_command(loaded))
    single = typer.Typer(add_completion=False)
    single.command(name=entry.name)(loaded)
    return _with_help(get_command(single))


def _with_help(command: click.Command) -> click.Command:
    """Tell again what arguments are for: typer 0.20 says it too early, and click 8.5 forgets it."""
    if isinstance(command, click.Group):
        for each in command.commands.values():
            _with_help(each)
    elif command.callback is not None:
        annotations = get_type_hints(inspect.unwrap(command.callback), include_extras=True)
        for argument in command.params:
            told = getattr(annotations.get(argument.name or ""), "__metadata__", ())
            if isinstance(argument, click.Argument):
                argument.help = next((each.help for each in told if isinstance(each, ArgumentInfo)), None)
    return command


class _Commands(click.Group):
    """Lists the groups by name; imports one when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return sorted(entry.name for entry in entry_points(group="synoptic.commands"))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        found = entry_points(group="synoptic.commands", name=cmd_name)
        return next((_load(entry) for entry in found), None)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, _SUMMARIES.get(name, "")) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


@click.group(cls=_Commands, epilog="Example: synoptic demo --json demo.json --report demo.html")
@click.version_option(package_name="synoptic")
def root() -> None:
    """Synoptic: a fleet of microscopes that learns together.

    Exit codes: 0 done, 1 refused (the reason is on standard error), 2 wrong usage.
    """


def main() -> None:
    """Run `synoptic`; a refusal ends with exit code 1 and one readable message."""
    try:
        root()
    except SynopticError as refusal:
        click.echo(f"Refused: {refusal}", err=True)
        sys.exit(1)
    except ModuleNotFoundError as missing:
        # A site installs only synoptic[site], a server only synoptic[coordinator].
        click.echo(
            f"Refused: expected the package {missing.name} for this command, found none; "
            "install the extra that brings it: pip install 'synoptic[site,coordinator,benchmark,exchange]'",
            err=True,
        )
        sys.exit(1)
