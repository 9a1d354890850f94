"""The report on a scenario that was simulated under several seeds; each seed has a page of its own."""

from benchmark.figures import IntervalRow, interval_plot
from benchmark.report import Html, note, page, picture, section, table
from simulations.fleets.page import ARM_NAMES
from simulations.fleets.page_trials import interval
from simulations.fleets.seeds import OverSeeds, SeedsOutcome


def render_seeds(outcome: SeedsOutcome) -> str:
    """Render the page."""
    failed = () if outcome.cause is None else (note(f"The rounds failed: {outcome.cause}"),)
    means = [
        (
            ARM_NAMES[arm],
            _told(each),
            None if (ratio := outcome.of_pooled.get(arm)) is None else f"{ratio.mean:.1%}",
        )
        for arm, each in outcome.mean.items()
    ]
    rows = [(site, *cells) for site, cells in _sites(outcome).items()]
    header = ("site", *(f"{ARM_NAMES[arm]}, minus alone" for arm in outcome.against_local))
    seeds = ", ".join(f"{seed} (seed-{seed}/index.html)" for seed in outcome.seeds)
    return page(
        f"Simulated fleet: {outcome.scenario}, {len(outcome.seeds)} seeds",
        *failed,
        section("Quality", table(("network", f"mean, {outcome.unit} [95 %]", "of pooled"), means)),
        *([section("Every site", table(header, rows), _plot(outcome))] if rows else []),
        section(
            "Seeds",
            note(f"Pages: {seeds}. Intervals are over seeds, paired where networks are compared."),
        ),
        subtitle=outcome.told,
    )


def seeds_rows(outcome: SeedsOutcome) -> list[tuple[str, str]]:
    """List means, ratios to pooled training and differences by site, to be printed."""
    rows = []
    for arm, each in outcome.mean.items():
        told = f"{each.mean:.2f} {outcome.unit}"
        if (ratio := outcome.of_pooled.get(arm)) is not None:
            told += f", {ratio.mean:.2%} [{ratio.ci95[0]:.2%}, {ratio.ci95[1]:.2%}] of pooled"
        rows.append((ARM_NAMES[arm], told))
    for arm, sites in outcome.against_local.items():
        rows += [
            (f"{site}, {ARM_NAMES[arm]}, minus alone", f"{interval(found)} {outcome.unit}")
            for site, found in sites.items()
        ]
    return rows


def _told(found: OverSeeds) -> str:
    return f"{found.mean:.2f} [{found.ci95[0]:.2f}, {found.ci95[1]:.2f}]"


def _sites(outcome: SeedsOutcome) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for sites in outcome.against_local.values():
        for site, each in sites.items():
            found.setdefault(site, []).append(interval(each))
    return found


def _plot(outcome: SeedsOutcome) -> Html:
    rows = [
        IntervalRow(f"{site}, {ARM_NAMES[arm]}", each.difference, each.ci95)
        for arm, sites in outcome.against_local.items()
        for site, each in sites.items()
    ]
    content = interval_plot(rows, f"minus that of the site alone, in {outcome.unit}")
    return picture(content, "Intervals are over seeds; right of the dashed line is better.")
