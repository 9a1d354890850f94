"""`synoptic simulate`: a whole fleet in Flower's simulation engine."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from simulations.fleets.outcome import FleetOutcome
    from simulations.fleets.scenario import FleetScenario
    from simulations.fleets.seeds import SeedsOutcome

_INTERRUPTED = 130
_SHIPPED = Path(__file__).parents[1] / "scenarios"


@dataclass(frozen=True, slots=True)
class Machine:
    """What a run has: real micrographs, processors, and a folder for its report."""

    data: Path | None
    cpus: int
    report: Path | None


def simulate(
    scenario: Annotated[Path, typer.Argument(help="Scenario file, or the name of one that ships.")],
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the outcome as JSON.")] = None,
    report: Annotated[
        Path | None, typer.Option(help="Folder for index.html, its plots and the engine's log.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            envvar="SYNOPTIC_SHARED_DATA", help="Folder of real micrographs, where a scenario wants some."
        ),
    ] = None,
    cpus: Annotated[
        int, typer.Option(min=1, max=64, help="Sites that train at a time, one thread each.")
    ] = 2,
    seed: Annotated[
        list[int] | None,
        typer.Option(min=0, help="In the place of the scenario's; of several, what holds for them all."),
    ] = None,
) -> None:
    """Simulate a fleet of instruments that learns together, and compare what comes of it.

    SCENARIO is a file, or the name of one that ships: three-sites-non-iid, twenty-sites-with-drop-outs,
    forty-sites-eight-malicious, forty-sites-flipped-labels, two-hundred-instruments,
    privacy-against-quality, one-cohort, five-laboratories.

    The rounds are those of the coordinator, the training is that of the sites, and Flower's engine runs them
    on this machine (extras simulation and benchmark). Time is virtual: a night takes no longer than its
    training.

    Exit codes: 0 complete, 1 refused or the rounds failed, 2 wrong usage, 130 interrupted.

    Example: synoptic simulate three-sites-non-iid --json fleet.json --report fleet/
    """
    from simulations.fleets.scenario import read_scenario

    wanted = read_scenario(_file(scenario))
    machine = Machine(data, cpus, report)
    outcome = _simulated(wanted, seed or [wanted.seed], machine)
    if json_file is not None:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_text(outcome.model_dump_json(indent=2) + "\n", encoding="utf-8")
    if outcome.state != "completed":
        typer.echo(f"The rounds failed: {outcome.cause}", err=True)
        raise typer.Exit(1)


def _file(scenario: Path) -> Path:
    shipped = _SHIPPED / f"{scenario}.toml"
    return shipped if not scenario.exists() and shipped.exists() else scenario


def _simulated(
    scenario: "FleetScenario", seeds: list[int], machine: Machine
) -> "FleetOutcome | SeedsOutcome":
    from benchmark.report import write_page
    from simulations.fleets.page_seeds import render_seeds, seeds_rows
    from simulations.fleets.printing import told
    from simulations.fleets.seeds import over_seeds

    if len(seeds) == 1:
        return told(_run(scenario.model_copy(update={"seed": seeds[0]}), machine), machine.report)
    runs = []
    for seed in dict.fromkeys(seeds):
        folder = None if machine.report is None else machine.report / f"seed-{seed}"
        own = replace(machine, report=folder)
        typer.echo(f"seed {seed}")
        runs.append(told(_run(scenario.model_copy(update={"seed": seed}), own), folder))
    outcome = over_seeds(runs)
    if machine.report is not None:
        write_page(machine.report / "index.html", render_seeds(outcome))
    typer.echo(f"{len(runs)} seeds, {sum(run.seconds for run in runs):.0f} s")
    for name, value in seeds_rows(outcome):
        typer.echo(f"{name}: {value}")
    return outcome


def _run(scenario: "FleetScenario", machine: Machine) -> "FleetOutcome":
    import tempfile

    from model_library.errors import ChildDied
    from simulations.demo import interruptible
    from simulations.errors import SimulationError
    from simulations.fleets.running import simulate as simulated
    from simulations.fleets.staging import Limits

    try:
        with interruptible(), tempfile.TemporaryDirectory() as aside:
            folder = Path(aside) if machine.report is None else machine.report
            folder.mkdir(parents=True, exist_ok=True)
            limits = Limits(machine.cpus, (folder / "engine.log").resolve())
            return simulated(scenario, machine.data, limits, lambda line: typer.echo(line, err=True))
    except ChildDied as death:
        if machine.report is not None:
            raise
        raise SimulationError(
            "expected Flower's engine to end with an outcome, found that it died; repeat with --report DIR, "
            "where its log is kept"
        ) from death
    except KeyboardInterrupt:
        typer.echo("Interrupted; nothing of it is left.", err=True)
        raise typer.Exit(_INTERRUPTED) from None


app = typer.Typer(add_completion=False)
app.command()(simulate)

if __name__ == "__main__":
    app()
