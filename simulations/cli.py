"""`synoptic demo`: the whole loop on this machine."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from simulations.outcome import Outcome
    from simulations.workspace import Run

INTERRUPTED = 130
_FIRST_IMAGES = 28
_EVERY_N = 5
_FRAMES = 60
_TUNING_STEPS = 80
_MINUTES = 10.0


def demo(
    images: Annotated[
        Path | None, typer.Option(help="Real micrographs: DIR/<site>/*.tif, site.toml, truth/ or labels/.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of specimens, noise and tuning.")] = 0,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the outcome as JSON.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write the report as one HTML page.")] = None,
    workspace: Annotated[
        Path | None, typer.Option(help="Folder of the run; an unfinished run in it is taken up again.")
    ] = None,
    frames: Annotated[int, typer.Option(min=8, help="Frames per site.")] = _FRAMES,
    max_minutes: Annotated[
        float, typer.Option(min=0.1, help="End after this, whatever still waits.")
    ] = _MINUTES,
    first_images: Annotated[
        int, typer.Option(min=7, help="Images that a campaign asks for first.")
    ] = _FIRST_IMAGES,
    tuning_steps: Annotated[int, typer.Option(min=1, help="Steps of each fine-tuning.")] = _TUNING_STEPS,
    figures: Annotated[
        Path | None, typer.Option(help="Write each site's picture to DIR/<site>.png as well.")
    ] = None,
) -> None:
    """Run a fleet of microscopes, their sites and one coordinator on this machine, to the final report.

    Six sites by default: four of them learn together, one of these drifts; one segments.

    Exit codes: 0 complete, 1 refused or incomplete, 2 wrong usage, 130 interrupted.

    Example: synoptic demo --json demo.json --report demo.html
    """
    from rich.console import Console

    from simulations.default_fleet import default_scenario
    from simulations.micrograph_folders import scenario_of_folder
    from simulations.workspace import Run, Workspace, default_workspace

    if images is None:
        scenario = default_scenario(seed, frames)
    else:
        scenario = scenario_of_folder(images, seed=seed, frames=frames)
    fewest = min(site.frames for site in scenario.sites)
    wanted = Run(
        scenario=scenario, first_images=min(first_images, fewest), every_n=_EVERY_N, tuning_steps=tuning_steps
    )
    chosen = default_workspace(Path("demo-workspace"), wanted) if workspace is None else Workspace(workspace)
    console = Console()
    try:
        complete = _run(console, chosen.folder, wanted, max_minutes, _Files(json_file, report, figures))
    except KeyboardInterrupt:
        console.print(f"Interrupted. The same command resumes in {chosen.folder}.", highlight=False)
        raise typer.Exit(INTERRUPTED) from None
    if not complete:
        raise typer.Exit(1)


class _Files(NamedTuple):
    """Where the outcome goes; None: into the workspace, or nowhere for figures."""

    json: Path | None
    report: Path | None
    figures: Path | None


def _run(console: "Console", folder: Path, wanted: "Run", minutes: float, files: _Files) -> bool:
    import time

    from benchmark.figures import montage
    from simulations.closing import close
    from simulations.demo import interruptible, run_loop
    from simulations.kept_networks import returned_networks
    from simulations.observation import read_history
    from simulations.outcome import outcome
    from simulations.page import render_page
    from simulations.progress import Progress
    from simulations.workspace import Workspace

    began = time.monotonic()
    workspace = Workspace(folder)
    with interruptible(), Progress(console) as progress:
        ended = run_loop(workspace, wanted, minutes=minutes, progress=progress)
        progress.say(f"Every process has ended after {ended.seconds:.0f} s. Scoring held-out frames ...")
        closed = close(ended, workspace)
        library = returned_networks(workspace, ended.overview)
    found = outcome(ended, closed, library, time.monotonic() - began)
    told = found.model_dump_json(indent=2)
    page = render_page(found, closed, read_history(workspace.history))
    contents = {
        files.json or workspace.folder / "demo.json": told.encode(),
        files.report or workspace.folder / "demo.html": page.encode(),
    }
    if files.figures is not None:
        contents |= {
            files.figures / f"{each.site.name}.png": montage(each.panels) for each in closed if each.panels
        }
    for path, content in contents.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        console.print(f"Written: {path}", highlight=False, soft_wrap=True)
    if found.complete:
        workspace.finish(told.encode())
    _print_table(console, found)
    return found.complete


def _print_table(console: "Console", found: "Outcome") -> None:
    from rich.table import Table

    from simulations.page import summary_row
    from simulations.printing import fleet_in_words

    table = Table(title=f"Held-out frames, seed {found.seed}, {found.duration_s:.0f} s", title_justify="left")
    for name in ("site", "in service", "score", "best classical", "score", "difference [95 %]"):
        table.add_column(name, overflow="fold")
    rows = [summary_row(site) for site in found.sites]
    for row in rows:
        table.add_row(*row[:6])
    console.print(table)
    for site, row in zip(found.sites, rows, strict=True):
        frames = site.frames
        console.print(
            f"{site.name}: {row[-1]}; {frames.acquired} acquired = {frames.reconstructed} reconstructed + "
            f"{frames.waiting} waiting + {frames.set_aside} set aside; {frames.returned} returned",
            highlight=False,
            soft_wrap=True,
        )
    for line in fleet_in_words(found):
        console.print(line, highlight=False, soft_wrap=True)
    for line in found.waiting:
        console.print(f"Not done: {line}", highlight=False, soft_wrap=True)
