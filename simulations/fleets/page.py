"""The report on a simulated fleet: one HTML page, and its plots as files of their own."""

from collections.abc import Sequence

from benchmark.figures import IntervalRow, interval_plot, line_plot
from benchmark.report import Html, bullets, details, figures_row, note, page, picture, section, table, text
from coordinator.federation.plan import RoundRecord
from simulations.fleets.judging import ACQUIRED, DELIVERED, FEDERATED, LOCAL_ONLY, PERSONALISED, POOLED, START
from simulations.fleets.outcome import FleetOutcome
from simulations.fleets.page_links import WHAT, links_section
from simulations.fleets.page_trials import Plots, trial_plots, trial_sections

_MOST_SITES = 24
"""Sites that are drawn one by one; the table has all."""
ARM_NAMES = {
    ACQUIRED: "as acquired",
    START: "before any training",
    FEDERATED: "federated",
    PERSONALISED: "federated, then tuned at the site",
    DELIVERED: "whichever of these two the gate delivers",
    LOCAL_ONLY: "each site alone",
    POOLED: "all frames in one place",
}


def plots_of(outcome: FleetOutcome) -> Plots:
    """Draw whatever the outcome has figures for."""
    plots: Plots = {}
    if outcome.quality:
        plots["quality.png"] = interval_plot(_means(outcome), f"{_measure(outcome)}, all sites", zero=False)
    if outcome.against_local:
        plots["against-local.png"] = interval_plot(
            _differences(outcome), "PSNR, minus that of the site alone, in dB"
        )
    if outcome.rounds:
        plots["contributions.png"] = line_plot(
            [
                ("contributed", _numbers(outcome.rounds), [len(each.contributed) for each in outcome.rounds]),
                ("asked", _numbers(outcome.rounds), [len(each.eligible) for each in outcome.rounds]),
            ],
            x_label="round",
            y_label="instruments",
            points=True,
        )
    if any(each.evaluation for each in outcome.rounds):
        plots["loss.png"] = _losses(outcome.rounds)
    plots |= trial_plots(outcome)
    return plots


def render(outcome: FleetOutcome, plots: Plots) -> str:
    """Render the page."""
    completed = sum(bool(each.contributed) for each in outcome.rounds)
    tiles = [
        (str(len(outcome.instruments)), "instruments"),
        (f"{completed}", "rounds completed"),
        (f"{outcome.bytes.up / 1e6:.1f} MB", "left the sites"),
        *(
            []
            if outcome.virtual_s is None
            else [(f"{outcome.virtual_s / 3600:.1f} h", "of the fleet's time")]
        ),
        (f"{outcome.seconds:.0f} s", "of this machine's"),
        (f"{outcome.rss_mb.all:.0f} MiB", "memory at most, all processes"),
    ]
    failed = () if outcome.cause is None else (note(f"The rounds failed: {outcome.cause}"),)
    return page(
        f"Simulated fleet: {outcome.scenario}",
        figures_row(tiles),
        *failed,
        section("What is simulated and what is real", note(WHAT[outcome.mode])),
        _quality(outcome, plots),
        _rounds(outcome, plots),
        *([links_section(outcome)] if outcome.links else []),
        *trial_sections(outcome, plots),
        section("Instruments", _instruments(outcome)),
        subtitle=outcome.told,
    )


def table_rows(outcome: FleetOutcome) -> list[tuple[str, str]]:
    """Mean score of everything that was compared."""
    return [(ARM_NAMES[name], f"{value:.2f} {outcome.unit}") for name, value in outcome.mean.items()]


def _quality(outcome: FleetOutcome, plots: Plots) -> Html:
    if not outcome.quality:
        return section("Quality", text("Nothing was judged: there is no network."))
    arms = list(outcome.quality)
    rows = [
        (site, *(f"{outcome.quality[arm][site].mean:.2f}" for arm in arms))
        for site in outcome.quality[arms[0]]
    ]
    listed = table(
        ("site", *(ARM_NAMES[arm] for arm in arms)), rows, caption=f"{_measure(outcome)} on held-out frames"
    )
    blocks = [table(("network", "mean"), table_rows(outcome)), *_pictures(plots, "quality.png")]
    if outcome.of_pooled is not None:
        gain = "-" if outcome.gain_of_pooled is None else f"{outcome.gain_of_pooled:.0%}"
        blocks.append(
            text(
                f"The federated network reaches {outcome.of_pooled:.1%} of the score of pooled training "
                f"({outcome.pooled_steps} steps), and {gain} of what that gains over the acquired frames."
            )
        )
    blocks += _pictures(plots, "against-local.png")
    return section("Quality", *blocks, details("Every site", listed))


def _rounds(outcome: FleetOutcome, plots: Plots) -> Html:
    rows = [
        (
            each.number,
            f"{len(each.contributed)} of {len(outcome.instruments)}",
            f"{each.bytes_up / 1e6:.2f}",
            f"{each.seconds:.0f}",
            "; ".join(sorted({f"{told.site}: {told.cause}" for told in each.refused})[:4]),
        )
        for each in outcome.rounds
    ]
    listed = table(("round", "contributed", "MB up", "s", "who did not, and why (four at most)"), rows)
    return section(
        "Rounds", *_pictures(plots, "contributions.png", "loss.png"), details("Every round", listed)
    )


def _instruments(outcome: FleetOutcome) -> Html:
    told = [
        f"{name}: {words}; {outcome.contributions[name]} rounds"
        for name, words in outcome.instruments.items()
    ]
    return bullets(told) if len(told) <= _MOST_SITES else details(f"All {len(told)}", bullets(told))


def _measure(outcome: FleetOutcome) -> str:
    return "PSNR in dB" if outcome.unit == "dB" else "Dice, hundredths"


_CAPTIONS = {
    "quality.png": "Mean over all held-out frames; lines span the sites.",
    "against-local.png": (
        "Federated (dark) and tuned (light) networks against each site alone; right of the dashed line is "
        "better."
    ),
    "contributions.png": "Instruments that were asked, and those whose updates counted.",
    "loss.png": "Mean loss on frames that sites spared, as the network came and as it went.",
}


def _pictures(plots: Plots, *names: str) -> list[Html]:
    return [picture(plots[name], _CAPTIONS[name]) for name in names if name in plots]


def _means(outcome: FleetOutcome) -> list[IntervalRow]:
    rows = []
    for arm, sites in outcome.quality.items():
        values = [each.mean for each in sites.values()]
        rows.append(
            IntervalRow(ARM_NAMES[arm], outcome.mean[arm], (min(values), max(values)), arm == FEDERATED)
        )
    return rows


def _differences(outcome: FleetOutcome) -> list[IntervalRow]:
    rows = []
    for site in list(outcome.against_local)[:_MOST_SITES]:
        for found, ours in ((outcome.against_local, True), (outcome.personalised_against_local, False)):
            if (each := found.get(site)) is not None:
                rows.append(IntervalRow(site if ours else f"{site}, tuned", each.difference, each.ci95, ours))
    return rows


def _losses(rounds: Sequence[RoundRecord]) -> bytes:
    judged = [each for each in rounds if each.evaluation]
    numbers = _numbers(judged)

    def mean(values: Sequence[float]) -> float:
        return sum(values) / len(values)

    before = [mean([each.before for each in record.evaluation.values()]) for record in judged]
    after = [mean([each.after for each in record.evaluation.values()]) for record in judged]
    return line_plot(
        [("as it came", numbers, before), ("as it went", numbers, after)],
        x_label="round",
        y_label="loss",
        points=True,
    )


def _numbers(rounds: Sequence[RoundRecord]) -> list[float]:
    return [float(each.number) for each in rounds]
