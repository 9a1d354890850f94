"""`synoptic site status`: a site in words, once or as a table that follows it."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from site_client.status import SiteStatus

_LOOK_S = 1.0
_MOST_ALIKE = 5
Row = tuple[str, str]


def add_status_command(app: typer.Typer) -> None:
    """Add the command to the group `site`."""
    app.command(epilog="Example: synoptic site status --folder /srv/synoptic --watch")(status)


def status(
    folder: Annotated[Path, typer.Option(help="The site's folder.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Show a table that follows, until Ctrl-C.")] = False,
) -> None:
    """Show frames, backlog, method in service, files set aside, alarms; the daemon need not run."""
    if as_json and watch:
        raise typer.BadParameter("expected --json or --watch, found both; choose one")
    if watch:
        from rich.console import Console

        follow(folder.resolve(), Console())
        return
    from site_client.status import read_status

    found = read_status(folder.resolve())
    typer.echo(found.model_dump_json(indent=2) if as_json else described(found))


def follow(folder: Path, console: "Console", sleep: Callable[[float], None] = time.sleep) -> None:
    """Show a site's state, and every second what it is by then, until Ctrl-C."""
    from rich.live import Live

    from site_client.status import read_status

    with Live(table_of(read_status(folder)), console=console, auto_refresh=False) as live:
        try:
            while True:
                sleep(_LOOK_S)
                live.update(table_of(read_status(folder)), refresh=True)
        except KeyboardInterrupt:
            return


def table_of(status: "SiteStatus") -> "Table":
    """Lay a site's state out for a terminal, the newest few of what is many."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=_titled(status), show_header=False, title_justify="left", expand=True)
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    rows = rows_of(status)
    for kind in dict.fromkeys(name for name, _ in rows):
        alike = [text for name, text in rows if name == kind]
        shown = alike[-_MOST_ALIKE:]
        style = "bold yellow" if kind.startswith("ALARM") else ""
        more = f" (and {len(alike) - len(shown)} before)" if len(alike) > len(shown) else ""
        table.add_row(kind, Text("\n".join(shown) + more, style=style))
    return table


def described(status: "SiteStatus") -> str:
    """Tell a site's state in lines."""
    return "\n".join([_titled(status), *(f"{name}: {text}" for name, text in rows_of(status))])


def rows_of(status: "SiteStatus") -> list[Row]:
    """Tell a site's state, each thing under its name; several may have the same one."""
    frames, service = status.frames, status.in_service
    method = "nothing yet"
    if service is not None:
        method = f"{service.method.id} {service.method.version} ({service.release_id})"
    return [
        (
            "frames",
            f"{frames.acquired} acquired = {frames.reconstructed} reconstructed"
            f" + {frames.waiting} waiting + {frames.set_aside} set aside"
            + (f" + {frames.skipped} skipped" if frames.skipped else ""),
        ),
        ("backlog", f"{status.backlog.told()}; the largest was {status.backlog_max}"),
        (
            "asked for",
            f"the first {status.first_images or '?'} images ({_sent(status, 'first_images')}),"
            f" and one of every {status.every_n or '?'} frames ({_sent(status, 'benchmark_images')})",
        ),
        ("in service", method),
        (
            "rates",
            f"throughput {_rate(status.throughput_mpix_per_s)},"
            f" acquisition {_rate(status.acquisition_mpix_per_s)}",
        ),
        ("federation", _standing(status)),
        ("adapted here", status.local_adaptation.told or "never tried"),
        ("updates sent", status.privacy.told()),
        ("page", status.page or "none"),
        ("bytes out", ", ".join(f"{kind} {count}" for kind, count in status.bytes_out.items())),
        *_segmented(status),
        *(("set aside", f"{item.path}: {item.reason}") for item in status.set_aside),
        *(("outbox", trouble) for trouble in status.outbox_troubles),
        *((f"ALARM {subject}", text) for subject, text in status.alarms.items()),
    ]


def _sent(status: "SiteStatus", purpose: str) -> str:
    for each, counts in status.outbox.items():
        if each.value == purpose:
            return f"{counts.delivered} sent" + (f", {counts.queued} wait" if counts.queued else "")
    return "0 sent"


def _titled(status: "SiteStatus") -> str:
    state = f"running, process {status.pid}" if status.running else "not running"
    state += "; paused" if status.control.paused else "; draining" if status.control.draining else ""
    state += "" if status.control.acquiring_until is None else "; the microscope acquires"
    return f"{status.site} ({status.instrument_id}): {state}"


def _segmented(status: "SiteStatus") -> list[Row]:
    if status.segmentation is None:
        return []
    frames = status.segmentation.frames
    return [
        (
            name,
            f"{each.mean_count:.1f} objects per frame, {100 * each.mean_area_fraction:.1f} % of the area,"
            f" diameter {_diameter(each.mean_diameter_nm, each.mean_diameter_px)} ({frames} frames)",
        )
        for name, each in status.segmentation.classes.items()
    ]


def _diameter(nm: float | None, px: float | None) -> str:
    # Frames with and without a pixel size may be among them.
    told = [f"{value:.1f} {unit}" for value, unit in ((nm, "nm"), (px, "px")) if value is not None]
    return " or ".join(told) or "unknown"


def _standing(status: "SiteStatus") -> str:
    standing = status.federation
    if standing.federation_id is None:
        return "never invited"
    cause = "" if standing.cause is None else f"; last trouble: {standing.cause}"
    return (
        f"{standing.state.replace('_', ' ')}; {standing.federation_id},"
        f" {standing.rounds_done} of {standing.rounds} rounds done{cause}"
    )


def _rate(mpix_per_s: float | None) -> str:
    return "unknown yet" if mpix_per_s is None else f"{mpix_per_s:.3f} MPix/s"
