"""What `synoptic simulate` prints of an outcome and writes beside it."""

from pathlib import Path

import typer

from benchmark.compare import Comparison
from benchmark.report import write_page
from simulations.fleets.outcome import FleetOutcome
from simulations.fleets.page import plots_of, render, table_rows
from simulations.fleets.page_links import links_in_words


def told(outcome: FleetOutcome, report: Path | None) -> FleetOutcome:
    """Print an outcome, write its report, and give it back.

    Parameters
    ----------
    report
        Folder for the page and its plots; None for none.
    """
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
    for line in links_in_words(outcome):
        typer.echo(line)
    for each in outcome.variants:
        spent = "" if each.epsilon is None else f", epsilon {each.epsilon:.3g}"
        typer.echo(f"{each.name}: {each.why or _in_words(each.gained, outcome.unit, '+.3f')}{spent}")
    for run in outcome.attacks:
        kept = _in_words(run.lost, f"{outcome.unit} lost")
        typer.echo(f"{run.name}: {kept}; plain FedAvg: {run.why or _in_words(run.unguarded_lost, 'lost')}")
    return outcome


def _in_words(found: Comparison | None, unit: str, form: str = ".3f") -> str:
    if found is None:
        return "no network"
    low, high = found.ci95
    return f"{found.difference:{form}} [{low:{form}}, {high:{form}}] {unit}"
