"""`synoptic benchmark swaps`: its words."""

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: synoptic benchmark swaps --kills 200 --json swaps.json")(swaps)


def swaps(
    kills: Annotated[int, typer.Option(min=1, help="kill -9 of the daemon, each during a swap.")] = 20,
    networks: Annotated[int, typer.Option(min=2, help="That take turns; a site keeps four.")] = 6,
    longest_life_s: Annotated[
        float, typer.Option(min=0.1, help="A kill strikes at random within so many seconds.")
    ] = 3.0,
    seed: Annotated[int, typer.Option(min=0, help="Of networks, frames and kills.")] = 0,
    work: Annotated[
        Path | None, typer.Option(help="Folder of the run, kept; default: a temporary one.")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write every figure to this file.")] = None,
) -> None:
    """Kill the daemon while networks take turns, and ask which of them made each result.

    A coordinator releases small networks in turns; after each release come frames and a kill -9 of the site's
    daemon. Then every frame is computed again with each network, and must be the one's that its provenance
    names. Linux only.

    Exit code 1 where a frame was lost, done twice or by another network than it names.
    """
    import tempfile

    from rich.console import Console

    from simulations.replay.swap_accounts import account, write_report
    from simulations.replay.swaps import SwapPlan, batter

    plan = SwapPlan(kills=kills, networks=networks, longest_life_s=longest_life_s, seed=seed)
    progress = Console(stderr=True)
    with tempfile.TemporaryDirectory() as temporary:
        left = batter(work or Path(temporary), plan, lambda text: progress.print(text, style="dim"))
        progress.print("computing every frame again", style="dim")
        report = account(left, kills)
    if json_file is not None:
        write_report(report, json_file)
    lost = report.losses
    typer.echo(
        f"{report.kills} kills, {report.kills_in_mid_swap} of them in mid-swap; {report.releases} releases, "
        f"{report.releases_that_worked} came to work; {report.swaps_s:.0f} s\n"
        f"{report.frames} frames: lost {lost.lost}, doubled {lost.doubled}, partial {lost.partial}, "
        f"misnamed {report.misnamed}, of another network {report.of_another_network}\n"
        f"by network: {', '.join(f'{name} {count}' for name, count in report.frames_by_network.items())}; "
        f"off by at most {report.largest_own_error:.2g}, from any other by at least "
        f"{report.least_other_error:.2g} grey values"
    )
    if not report.is_clean:
        raise typer.Exit(1)
