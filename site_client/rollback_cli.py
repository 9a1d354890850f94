"""`synoptic site rollback`: back to an earlier method, at once and without the coordinator."""

from pathlib import Path
from typing import Annotated

import typer


def add_rollback_command(app: typer.Typer) -> None:
    """Add the command to the group `site`."""
    app.command(
        epilog="Example: synoptic site rollback --folder /srv/synoptic --reason 'streaks at the edges'"
    )(rollback)


def rollback(
    folder: Annotated[Path, typer.Option(help="The site's folder.")],
    to: Annotated[str | None, typer.Option(help="Id of a release; default: the one before.")] = None,
    reason: Annotated[str, typer.Option(help="Why; kept in the history.")] = "a person said so",
) -> None:
    """Put an earlier release back in service, from the next frame on.

    The release that is left stays out until the coordinator publishes another one. The daemon need not run.
    """
    from site_client.fallback import Fallback
    from site_client.memory import shared_memory

    folder = folder.resolve()
    with shared_memory(folder) as memory:
        fallback = Fallback(memory.journal, folder / "networks")
        release = fallback.fall_back(reason) if to is None else fallback.return_to(to, reason)
    typer.echo(f"In service from the next frame on: {release.method.id} ({release.release_id})")
