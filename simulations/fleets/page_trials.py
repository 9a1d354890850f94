"""What a report tells of attacks and of other settings: plots, and sections of the page."""

from collections.abc import Sequence

from benchmark.compare import Comparison
from benchmark.figures import IntervalRow, interval_plot
from benchmark.report import Html, picture, section, table
from simulations.fleets.outcome import AttackRun, FleetOutcome

Plots = dict[str, bytes]
"""PNG by the name of its file."""

_ATTACKS, _VARIANTS = "attacks.png", "variants.png"
_CAPTIONS = {
    _VARIANTS: "Against the settings of the scenario; right of the dashed line is better.",
    _ATTACKS: "Guarded (dark) and plain averaging (light); left of the dashed line is no loss.",
}


def trial_plots(outcome: FleetOutcome) -> Plots:
    """Draw what attacks cost and what other settings gained, where there are figures."""
    plots: Plots = {}
    if any(each.lost or each.unguarded_lost for each in outcome.attacks):
        plots[_ATTACKS] = interval_plot(
            _attacks(outcome.attacks), f"{outcome.unit} lost against the run without attack"
        )
    if any(each.gained for each in outcome.variants):
        rows = [
            IntervalRow(each.name, each.gained.difference, each.gained.ci95)
            for each in outcome.variants
            if each.gained is not None
        ]
        plots[_VARIANTS] = interval_plot(rows, f"gained, in {outcome.unit}")
    return plots


def trial_sections(outcome: FleetOutcome, plots: Plots) -> list[Html]:
    """Render the sections on attacks and on other settings, where there were any."""
    found = [_attack_section(outcome, plots)] if outcome.attacks else []
    return [*found, *([_variants(outcome, plots)] if outcome.variants else [])]


def interval(found: Comparison | None) -> str:
    """Tell a difference and its interval."""
    return "-" if found is None else f"{found.difference:.2f} [{found.ci95[0]:.2f}, {found.ci95[1]:.2f}]"


def _attack_section(outcome: FleetOutcome, plots: Plots) -> Html:
    rows = [
        (
            each.name,
            interval(each.lost),
            str(len(each.dropped)),
            str(len(each.quarantined)),
            interval(each.unguarded_lost) if each.why is None else each.why,
        )
        for each in outcome.attacks
    ]
    header = (
        "attack",
        f"lost, {outcome.unit} [95 %]",
        "dropped",
        "in quarantine",
        "Flower's FedAvg, nothing examined",
    )
    return section("Attacks", table(header, rows), *_pictures(plots, _ATTACKS))


def _variants(outcome: FleetOutcome, plots: Plots) -> Html:
    rows = [
        (
            each.name,
            None if each.mean is None else f"{each.mean:.2f}",
            interval(each.gained) if each.why is None else each.why,
            None if each.epsilon is None else f"{each.epsilon:.3g}",
            f"{each.bytes.up / 1e6:.2f}",
        )
        for each in outcome.variants
    ]
    header = ("settings", f"mean, {outcome.unit}", "gained [95 %]", "epsilon", "MB up")
    return section("Other settings of the rounds", table(header, rows), *_pictures(plots, _VARIANTS))


def _attacks(runs: Sequence[AttackRun]) -> list[IntervalRow]:
    rows = []
    for run in runs:
        if run.lost is not None:
            rows.append(IntervalRow(run.name, run.lost.difference, run.lost.ci95, True))
        if run.unguarded_lost is not None:
            plain = run.unguarded_lost
            rows.append(IntervalRow(f"{run.name}, plain FedAvg", plain.difference, plain.ci95))
    return rows


def _pictures(plots: Plots, name: str) -> list[Html]:
    return [picture(plots[name], _CAPTIONS[name])] if name in plots else []
