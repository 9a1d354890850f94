"""The parts of the report that tell of the fleet: federated rounds, drift and improvement, the library."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmark.figures import IntervalRow, interval_plot, line_plot
from benchmark.report import Cell, Html, bullets, details, picture, section, table, text
from model_library.wire.images import ImagePurpose
from simulations.closing import Closed
from simulations.fleet_outcome import CohortOutcome, DriftOutcome, ImprovementOutcome, RoundOutcome
from simulations.observation import SiteLook
from simulations.outcome import Outcome
from simulations.printing import interval, measured

_PSNR = "psnr"


def federation_section(outcome: Outcome) -> Html:
    """Tell who learned together: rounds with causes, and what the gate decided at each site."""
    if not outcome.cohorts and not outcome.rounds:
        return section("Federation", text("No instruments shared a network in this run."))
    federated = [each for each in outcome.cohorts if each.federation is not None]
    blocks = [block for each in federated for block in _cohort(each)]
    if outcome.rounds:
        blocks.insert(0, _rounds(outcome.rounds))
    alone = [f"{each.id}: {', '.join(each.instruments)}" for each in outcome.cohorts if each not in federated]
    if alone:
        blocks.append(details("Cohorts without a federation", bullets(alone)))
    return section("Federation", *blocks)


def _rounds(rounds: Sequence[RoundOutcome]) -> Html:
    header = ("round", "eligible", "contributed", "refused", "s", "training s", "up MB", "down MB")
    rows: list[tuple[Cell, ...]] = [
        (
            f"{each.federation} / {each.number}",
            ", ".join(each.eligible),
            ", ".join(each.contributed),
            "; ".join(f"{one.site}: {one.cause}" for one in each.refused) or "none",
            f"{each.seconds:.1f}",
            f"{each.train_seconds:.1f}",
            f"{each.bytes_up / 1e6:.2f}",
            f"{each.bytes_down / 1e6:.2f}",
        )
        for each in rounds
    ]
    caption = "Rounds: training s is the slowest site's; the rest of a round is overhead"
    return table(header, rows, caption=caption)


def _cohort(cohort: CohortOutcome) -> list[Html]:
    federation = cohort.federation
    assert federation is not None
    made = (
        "made no network"
        if federation.network is None
        else (f"made {federation.network.id} {federation.network.version}")
    )
    told = f"Cohort {cohort.id}: federation {federation.id} is {federation.state} and {made}."
    rows: list[tuple[Cell, ...]] = [
        (
            each.site,
            each.took_part,
            each.assigned or "-",
            interval(each.difference_to_local, each.difference_ci95, _PSNR),
            each.fields,
            each.reasons[0] if each.reasons else "-",
        )
        for each in cohort.sites
    ]
    header = (
        "site",
        "took part",
        "assigned",
        "federated minus own [95 %]",
        "fields",
        "the gate's first reason",
    )
    blocks = [text(told), table(header, rows, caption="Held-out report frames, against the truth")]
    if federation.matrix is not None and federation.matrix["images_of"]:
        blocks.append(_matrix(federation.matrix))
    if federation.failure:
        blocks.append(text(f"It failed: {federation.failure}"))
    drawn = [
        IntervalRow(each.site, each.difference_to_local, each.difference_ci95, each.assigned == "federated")
        for each in cohort.sites
        if each.difference_to_local is not None and each.difference_ci95 is not None
    ]
    if drawn:
        caption = "Federated network minus the one released at the site before; 95 % interval over fields."
        blocks.append(picture(interval_plot(drawn, "difference in dB"), caption))
    return blocks


def _matrix(matrix: Mapping[str, Any]) -> Html:
    rows: list[tuple[Cell, ...]] = [
        (
            network["site"] or "all",
            network["kind"].replace("_", " "),
            *("-" if value is None else f"{value:.2f}" for value in row),
        )
        for network, row in zip(matrix["networks"], matrix["values"], strict=True)
    ]
    caption = f"Every site's network on every site's benchmark images: {matrix['metric']}, dB"
    return table(("network of", "kind", *matrix["images_of"]), rows, caption=caption)


def drift_section(outcome: Outcome, closed: Sequence[Closed]) -> Html:
    """Tell what drifted, when that was noticed, and what replaced what."""
    if not outcome.drift and not outcome.improvements:
        return section("Drift and improvement", text("No drift was noticed in this run."))
    blocks = [block for each in outcome.drift for block in _drift(each, closed)]
    blocks += [_improvement(each) for each in outcome.improvements]
    if outcome.improvements:
        blocks.append(_improved(outcome.improvements))
    return section("Drift and improvement", *blocks)


def _drift(drift: DriftOutcome, closed: Sequence[Closed]) -> list[Html]:
    true = drift.true_onset_sequence
    known = "the instrument did not change: a false alarm" if true is None else f"it changed at frame {true}"
    told = (
        f"{drift.site}: {drift.feature} went from {drift.before:.4g} to {drift.after:.4g} (cumulative sum "
        f"{drift.statistic:.1f}, limit {drift.threshold:.1f}); told from chance at frame "
        f"{drift.detected_sequence}, first seen at frame {drift.onset_sequence}; {known}."
    )
    values = _watched(drift, next(each.seen for each in closed if each.site.name == drift.site))
    if not values:
        return [text(told)]
    named = (("changed", true), ("first seen", drift.onset_sequence), ("noticed", drift.detected_sequence))
    frames, seen = zip(*values, strict=True)
    png = line_plot(
        [(f"{drift.site}: {drift.feature}", frames, seen)],
        x_label="frame",
        y_label=_UNITS.get(drift.feature, drift.feature),
        marks=[(name, float(at)) for name, at in named if at is not None],
        points=True,
    )
    return [
        text(told),
        picture(png, f"{drift.site}: what its returned images showed, and when it was noticed."),
    ]


_UNITS = {
    "noise": "noise / as measured at first",
    "brightness": "brightness, counts",
    "sharpness": "sharpness of edges (1: blurred, 2: sharp)",
    "score": "score without truth minus that of a perfect result, dB",
    "lead": "score without truth minus that of a classical algorithm, dB",
}


def _watched(drift: DriftOutcome, seen: SiteLook) -> list[tuple[float, float]]:
    """Collect (frame, value) of the returned images, as the campaign before the drift measures them."""
    if drift.feature == "score":
        return [
            (float(one.sequence), one.score - (one.perfect or 0.0))
            for one in seen.monitoring
            if one.score is not None
        ]
    if drift.feature == "lead":
        return [
            (float(one.sequence), one.score - one.reference_score)
            for one in seen.monitoring
            if one.score is not None and one.reference_score is not None
        ]
    earlier = [each for each in seen.campaigns if each.observed]
    values = (
        (
            float(one.sequence),
            {"noise": one.noise, "sharpness": one.sharpness}.get(drift.feature, one.brightness),
        )
        for one in (earlier[0].observed if earlier else ())
        if one.purpose == ImagePurpose.BENCHMARK
    )
    return sorted((sequence, value) for sequence, value in values if value is not None)


def _improvement(found: ImprovementOutcome) -> Html:
    what = (
        f"{found.after.id} {found.after.version} replaced {found.before.id} {found.before.version}"
        if found.replaced
        else f"{found.before.id} {found.before.version} stayed"
    )
    title = f"{found.site}, improvement {found.campaign} ({found.trigger}): {what}"
    return details(title, bullets(found.reasons))


def _improved(found: Sequence[ImprovementOutcome]) -> Html:
    header = ("site", "before", "score", "after", "score", "after minus before [95 %]", "fields")
    rows: list[tuple[Cell, ...]] = []
    for each in found:
        names = [f"{one.id} {one.version}" for one in (each.before, each.after)]
        scores = each.scores
        if scores is None:
            rows.append((each.site, names[0], "-", names[1], "-", "-", 0))
            continue
        before, after = (measured(value, scores.metric) for value in (scores.before, scores.after))
        difference = interval(scores.difference, scores.difference_ci95, scores.metric)
        rows.append((each.site, names[0], before, names[1], after, difference, scores.fields))
    return table(header, rows, caption="Held-out frames acquired after the change, against the truth")


def library_section(outcome: Outcome) -> Html:
    """Tell which networks came back to the library."""
    if not outcome.library:
        return section("Library", text("No network came back to the library in this run."))
    header = ("network", "version", "from", "made by", "tuned on fields", "released to")
    rows: list[tuple[Cell, ...]] = [
        (each.id, each.version, each.parent, each.origin, each.tuned_fields, ", ".join(each.sites))
        for each in outcome.library
    ]
    told = "Improved networks come back with their lineage; later selections of their task choose among them."
    return section("Library", text(told), table(header, rows))


def objects_table(objects: Mapping[str, Any]) -> Html:
    """Show what a segmenting site counted, by class; units are in the names."""
    classes: dict[str, dict[str, Any]] = objects["classes"]
    keys = list(next(iter(classes.values()), {}))
    rows: list[tuple[Cell, ...]] = [
        (name, *(_figure(figures[key]) for key in keys)) for name, figures in classes.items()
    ]
    caption = f"Objects, from the site's own status: means over {objects['frames']} frames"
    return table(("class", *(key.replace("_", " ") for key in keys)), rows, caption=caption)


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
