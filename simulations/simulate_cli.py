"""`synoptic simulate`: a whole fleet, in Flower's simulation engine or as real processes on this machine."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

if TYPE_CHECKING:
    from simulations.fleets.outcome import FleetOutcome
    from simulations.fleets.scenario import FleetScenario
    from simulations.fleets.seeds import SeedsOutcome

Run: TypeAlias = "Callable[[FleetScenario, Path], FleetOutcome]"
"""Simulates a scenario; its logs go into the folder."""

DataOption = Annotated[
    Path | None,
    typer.Option(
        envvar="SYNOPTIC_SHARED_DATA", help="Folder of real micrographs, where a scenario wants some."
    ),
]
CpusOption = Annotated[int, typer.Option(min=1, max=64, help="Sites that train at a time, one thread each.")]
SeedsOption = Annotated[
    list[int] | None,
    typer.Option(min=0, help="In the place of the scenario's; of several, what holds for them all."),
]
ProcessesOption = Annotated[
    bool, typer.Option("--processes", help="Real daemons behind links that get cut, in real time.")
]
SitesOption = Annotated[int | None, typer.Option(min=2, help="With --processes: only the first so many.")]
HourOption = Annotated[
    float, typer.Option(min=0.1, help="With --processes: seconds in which an hour of the day passes.")
]
MinutesOption = Annotated[
    float, typer.Option(min=0.1, help="With --processes: the rounds have failed after so long.")
]

_INTERRUPTED = 130
_SHIPPED = Path(__file__).parent / "scenarios"


def simulate(
    scenario: Annotated[Path, typer.Argument(help="Scenario file, or the name of one that ships.")],
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the outcome as JSON.")] = None,
    report: Annotated[
        Path | None, typer.Option(help="Folder for index.html, its plots and the engine's log.")
    ] = None,
    data: DataOption = None,
    cpus: CpusOption = 2,
    seed: SeedsOption = None,
    rounds: Annotated[int | None, typer.Option(min=1, help="In the place of the scenario's.")] = None,
    processes: ProcessesOption = False,
    sites: SitesOption = None,
    hour_s: HourOption = 60.0,
    max_minutes: MinutesOption = 60.0,
) -> None:
    """Simulate a fleet of instruments that learns together, and compare what comes of it.

    SCENARIO is a file, or the name of one that ships: three-sites-non-iid, twenty-sites-with-drop-outs,
    forty-sites-eight-malicious, forty-sites-flipped-labels, two-hundred-instruments,
    privacy-against-quality, one-cohort, five-laboratories.

    The rounds are those of the coordinator, the training is that of the sites, and Flower's engine runs them
    on this machine (extras simulation and benchmark). Time is virtual: a night takes no longer than its
    training.

    With --processes a coordinator and a daemon per site run as they would in a facility, over loopback: each
    site behind a link with the bandwidth of the scenario, which is cut when the site drops out or is out of
    its hours. Attacks and variants are for the engine alone.

    Exit codes: 0 complete, 1 refused or the rounds failed, 2 wrong usage, 130 interrupted.

    Example: synoptic simulate three-sites-non-iid --json fleet.json --report fleet/
    Example: synoptic simulate three-sites-non-iid --processes --json fleet.json --report fleet/
    """
    from simulations.fleets.scenario import read_scenario

    if sites is not None and not processes:
        raise typer.BadParameter(
            "expected --sites with --processes, found it alone; the engine runs them all"
        )
    wanted = read_scenario(_file(scenario))
    if rounds is not None:
        wanted = wanted.model_copy(update={"federation": {**wanted.federation, "rounds": rounds}})
    run = _as_processes(data, sites, max_minutes, hour_s) if processes else _in_engine(data, cpus)
    outcome = _simulated(wanted, seed or [wanted.seed], run, report)
    if json_file is not None:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_text(outcome.model_dump_json(indent=2) + "\n", encoding="utf-8")
    if outcome.state != "completed":
        typer.echo(f"The rounds failed: {outcome.cause}", err=True)
        raise typer.Exit(1)


def _in_engine(data: Path | None, cpus: int) -> Run:
    from simulations.fleets.running import simulate as simulated
    from simulations.fleets.staging import Limits

    return lambda scenario, folder: simulated(scenario, data, Limits(cpus, folder / "engine.log"), _say)


def _as_processes(data: Path | None, sites: int | None, minutes: float, hour_s: float) -> Run:
    from simulations.deployed.deployment import Bounds
    from simulations.deployed.running import deploy

    return lambda scenario, folder: deploy(
        scenario, data, Bounds(sites, minutes, hour_s, folder / "log"), _say
    )


def _file(scenario: Path) -> Path:
    shipped = _SHIPPED / f"{scenario}.toml"
    return shipped if not scenario.exists() and shipped.exists() else scenario


def _say(line: str) -> None:
    typer.echo(line, err=True)


def _simulated(
    scenario: "FleetScenario", seeds: Sequence[int], run: Run, report: Path | None
) -> "FleetOutcome | SeedsOutcome":
    from benchmark.report import write_page
    from simulations.fleets.page_seeds import render_seeds, seeds_rows
    from simulations.fleets.printing import told
    from simulations.fleets.seeds import over_seeds

    if len(seeds) == 1:
        return told(_finished(run, scenario.model_copy(update={"seed": seeds[0]}), report), report)
    runs = []
    for seed in dict.fromkeys(seeds):
        folder = None if report is None else report / f"seed-{seed}"
        typer.echo(f"seed {seed}")
        runs.append(told(_finished(run, scenario.model_copy(update={"seed": seed}), folder), folder))
    outcome = over_seeds(runs)
    if report is not None:
        write_page(report / "index.html", render_seeds(outcome))
    typer.echo(f"{len(runs)} seeds, {sum(each.seconds for each in runs):.0f} s")
    for name, value in seeds_rows(outcome):
        typer.echo(f"{name}: {value}")
    return outcome


def _finished(run: Run, scenario: "FleetScenario", report: Path | None) -> "FleetOutcome":
    """Run in the folder of the report, or in one that is removed; Ctrl-C and SIGTERM end it cleanly."""
    import tempfile

    from model_library.errors import ChildDied, ProcessFailed
    from simulations.demo import interruptible
    from simulations.errors import SimulationError

    try:
        with interruptible(), tempfile.TemporaryDirectory() as aside:
            folder = (Path(aside) if report is None else report).resolve()
            folder.mkdir(parents=True, exist_ok=True)
            return run(scenario, folder)
    except (ChildDied, ProcessFailed) as death:
        if report is not None:
            raise
        raise SimulationError(
            f"expected an outcome, found that a process failed: {death}; repeat with --report DIR, where all "
            "logs are kept"
        ) from death
    except KeyboardInterrupt:
        typer.echo("Interrupted; nothing of it is left.", err=True)
        raise typer.Exit(_INTERRUPTED) from None


app = typer.Typer(add_completion=False)
app.command()(simulate)

if __name__ == "__main__":
    app()
