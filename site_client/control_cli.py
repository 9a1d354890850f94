"""`synoptic site pause|resume|drain|acquiring|sent`: say what is wanted, and see what has left."""

import sys
import time
from pathlib import Path
from typing import Annotated, Literal

import typer

Folder = Annotated[Path, typer.Option(help="The site's folder.")]
_LOOK_S = 0.5


def add_control_commands(app: typer.Typer) -> None:
    """Add the commands to the group `site`."""
    app.command(epilog="Example: synoptic site pause --folder /srv/synoptic")(pause)
    app.command(epilog="Example: synoptic site resume --folder /srv/synoptic")(resume)
    app.command(epilog="Example: synoptic site drain --folder /srv/synoptic --wait-s 3600")(drain)
    app.command(epilog="Example: synoptic site acquiring on --folder /srv/synoptic --for-s 1800")(acquiring)
    app.command(epilog="Example: synoptic site sent --folder /srv/synoptic --last 20")(sent)


def pause(folder: Folder) -> None:
    """Reconstruct, send and adapt nothing until `resume`; frames are noted, and nothing is lost."""
    from site_client.memory import shared_memory

    with shared_memory(folder.resolve()) as memory:
        memory.controls.pause()
    typer.echo("Paused, also after a restart; frames are noted. Next: synoptic site resume")


def resume(folder: Folder) -> None:
    """Take back `pause` or `drain`."""
    from site_client.memory import shared_memory

    with shared_memory(folder.resolve()) as memory:
        memory.controls.resume()
    typer.echo("Resumed.")


def drain(
    folder: Folder,
    wait_s: Annotated[float, typer.Option(min=0, help="How long to wait for the daemon to end.")] = 3600.0,
) -> None:
    """Let the daemon reconstruct and send what waits, and end; exit code 1 if it has not ended in time."""
    from site_client.lock import running_daemon
    from site_client.memory import shared_memory

    folder = folder.resolve()
    with shared_memory(folder) as memory:
        if running_daemon(folder) is None:
            typer.echo("No daemon runs here: nothing to drain.")
            return
        memory.controls.drain()
    if not _await_end(folder, time.monotonic() + wait_s):
        typer.echo(
            f"expected the daemon to end within {wait_s:g} s, found it at work; `synoptic site status` tells"
            " what waits, `synoptic site resume` takes the drain back",
            err=True,
        )
        sys.exit(1)
    typer.echo("Drained: the daemon has ended.")


def acquiring(
    state: Annotated[Literal["on", "off"], typer.Argument(help="Whether the microscope acquires now.")],
    folder: Folder,
    for_s: Annotated[
        float, typer.Option(min=1, max=86_400, help="`on` holds so long, unless it is said again.")
    ] = 600.0,
) -> None:
    """Tell the daemon that the microscope acquires: what adapts networks then gets out of its way."""
    from site_client.memory import shared_memory

    with shared_memory(folder.resolve()) as memory:
        if state == "on":
            memory.controls.acquiring(for_s)
        else:
            memory.controls.idle()
    typer.echo(
        f"The microscope acquires, for {for_s:g} s at most." if state == "on" else "It does not acquire."
    )


def sent(
    folder: Folder,
    last: Annotated[int, typer.Option(min=1, help="How many images and rounds to list.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="Print all of it as JSON.")] = False,
) -> None:
    """List what has left this site: images with purpose, size and digest, weight updates, bytes by kind."""
    from site_client.sent import read_sent

    found = read_sent(folder.resolve())
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
        return
    for image in found.images[-last:]:
        typer.echo(
            f"{image.at:%Y-%m-%d %H:%M:%S}  {image.purpose.value:16}  {image.bytes:>12} bytes  frame"
            f" {image.sequence}  {image.path}  {image.sha256[:12]}"
            + (f"  ({image.made})" if image.made else "")
        )
    for event in found.updates[-last:]:
        typer.echo(f"{event.at:%Y-%m-%d %H:%M:%S}  weight update     {event.text}")
    typer.echo(f"updates sent: {found.privacy.told()}")
    typer.echo("bytes: " + ", ".join(f"{kind} {count}" for kind, count in found.bytes_out.items()))


def _await_end(folder: Path, end: float) -> bool:
    from rich.console import Console

    from site_client.lock import running_daemon
    from site_client.status import read_status

    with Console(stderr=True).status("Draining") as line:
        while running_daemon(folder) is not None:
            if time.monotonic() > end:
                return False
            found = read_status(folder)
            queued = sum(counts.queued for counts in found.outbox.values())
            line.update(f"Draining: {found.frames.waiting} frames and {queued} images wait")
            time.sleep(min(_LOOK_S, max(0.0, end - time.monotonic())))
    return True
