"""`synoptic simulate`: a whole fleet in Flower's simulation engine."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from benchmark.compare import Comparison
    from simulations.fleets.outcome import FleetOutcome
    from simulations.fleets.scenario import FleetScenario

_INTERRUPTED = 130
_SHIPPED = Path(__file__).parents[1] / "scenarios"


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
    seed: Annotated[int | None, typer.Option(min=0, help="In the place of the scenario's.")] = None,
) -> None:
    """Simulate a fleet of instruments that learns together, and compare what comes of it.

    SCENARIO is a file, or the name of one that ships: three-sites-non-iid, twenty-sites-with-drop-outs,
    forty-sites-eight-malicious, two-hundred-instruments, privacy-against-quality, five-laboratories.

    The rounds are those of the coordinator, the training is that of the sites, and Flower's engine runs them
    on this machine (extras simulation and benchmark). Time is virtual: a night takes no longer than its
    training.

    Exit codes: 0 complete, 1 refused or the rounds failed, 2 wrong usage, 130 interrupted.

    Example: synoptic simulate three-sites-non-iid --json fleet.json --report fleet/
    """
    from simulations.fleets.scenario import read_scenario

    wanted = read_scenario(_file(scenario))
    if seed is not None:
        wanted = wanted.model_copy(update={"seed": seed})
    outcome = _simulated(wanted, data, cpus, report)
    _write(outcome, json_file, report)
    if outcome.state != "completed":
        typer.echo(f"The rounds failed: {outcome.cause}", err=True)
        raise typer.Exit(1)


def _file(scenario: Path) -> Path:
    shipped = _SHIPPED / f"{scenario}.toml"
    return shipped if not scenario.exists() and shipped.exists() else scenario


def _simulated(
    scenario: "FleetScenario", data: Path | None, cpus: int, report: Path | None
) -> "FleetOutcome":
    import tempfile

    from model_library.errors import ChildDied
    from simulations.demo import interruptible
    from simulations.errors import SimulationError
    from simulations.fleets.running import simulate as simulated
    from simulations.fleets.staging import Limits

    try:
        with interruptible(), tempfile.TemporaryDirectory() as aside:
            folder = Path(aside) if report is None else report
            folder.mkdir(parents=True, exist_ok=True)
            limits = Limits(cpus, (folder / "engine.log").resolve())
            return simulated(scenario, data, limits, lambda line: typer.echo(line, err=True))
    except ChildDied as death:
        if report is not None:
            raise
        raise SimulationError(
            "expected Flower's engine to end with an outcome, found that it died; repeat with --report DIR, "
            "where its log is kept"
        ) from death
    except KeyboardInterrupt:
        typer.echo("Interrupted; nothing of it is left.", err=True)
        raise typer.Exit(_INTERRUPTED) from None


def _write(outcome: "FleetOutcome", json_file: Path | None, report: Path | None) -> None:
    from benchmark.report import write_page
    from simulations.fleets.page import plots_of, render, table_rows

    if json_file is not None:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_text(outcome.model_dump_json(indent=2) + "\n", encoding="utf-8")
    if report is not None:
        plots = plots_of(outcome)
        write_page(report / "index.html", render(outcome, plots))
        for name, content in plots.items():
            (report / name).write_bytes(content)
    for name, value in table_rows(outcome):
        typer.echo(f"{name}: {value}")
    typer.echo(
        f"{len(outcome.rounds)} rounds, {sum(outcome.contributions.values())} contributions, "
        f"{outcome.bytes.up / 1e6:.2f} MB up, {outcome.rss_mb.all:.0f} MiB at most, {outcome.seconds:.0f} s"
    )
    for each in outcome.variants:
        told = "" if each.epsilon is None else f", epsilon {each.epsilon:.3g}"
        typer.echo(f"{each.name}: {each.why or _told(each.gained, outcome.unit, '+.3f')}{told}")
    for run in outcome.attacks:
        kept = _told(run.lost, f"{outcome.unit} lost")
        typer.echo(f"{run.name}: {kept}; plain FedAvg: {run.why or _told(run.unguarded_lost, 'lost')}")


def _told(found: "Comparison | None", unit: str, form: str = ".3f") -> str:
    if found is None:
        return "no network"
    low, high = found.ci95
    return f"{found.difference:{form}} [{low:{form}}, {high:{form}}] {unit}"


app = typer.Typer(add_completion=False)
app.command()(simulate)

if __name__ == "__main__":
    app()
