"""The demo's report: one HTML page that holds everything it shows."""

from collections.abc import Sequence
from typing import Any

from benchmark.figures import Event, IntervalRow, interval_plot, line_plot, montage, timeline
from benchmark.report import (
    Cell,
    Html,
    bullets,
    details,
    figures_row,
    note,
    page,
    picture,
    section,
    table,
    text,
)
from simulations.audit import Audited
from simulations.closing import Closed
from simulations.observation import Point
from simulations.outcome import CLASSICAL, Moment, Outcome, Scores, SiteOutcome
from simulations.page_fleet import drift_section, federation_section, library_section, objects_table
from simulations.printing import DICE, interval, measured

_LONGEST_LABEL_SHARE = 0.07
REAL = (
    "Real: the coordinator and each site's daemon are separate processes that speak HTTPS; identities, "
    "resumable uploads, signed releases, the library's networks, selection, classical tuning, fine-tuning, "
    "federated rounds on Flower, drift detection, the gate, reconstruction and provenance are what an "
    "installation runs."
)
SIMULATED = (
    "Simulated: everything runs on one machine; the microscopes are processes that write files as "
    "instruments do; a drift is a change of their dose; the annotator of a segmentation site is a program "
    "that hands in the true masks of exactly the first images. Scores below are held against a truth that "
    "only this report was given."
)


def render_page(outcome: Outcome, closed: Sequence[Closed], history: Sequence[Point]) -> str:
    """Render the report."""
    frames = sum(site.frames.reconstructed for site in outcome.sites)
    tiles = [
        (f"{outcome.duration_s:.0f} s", "from start to report"),
        (str(len(outcome.sites)), "sites"),
        (str(frames), "frames reconstructed"),
        (str(sum(site.frames.returned for site in outcome.sites)), "frames returned"),
    ]
    if outcome.waiting:
        state = section("What is still to come or wrong", bullets(outcome.waiting))
    else:
        state = text("The run is complete: nothing waits, nothing was lost, nothing was done twice.")
    return page(
        "Synoptic: the loop, from acquisition to report",
        figures_row(tiles),
        state,
        section("What is simulated and what is real", note(SIMULATED), text(REAL), _told(outcome)),
        section("In short", _summary(outcome), _difference_plot(outcome)),
        federation_section(outcome),
        drift_section(outcome, closed),
        *(_site(each, found) for each, found in zip(closed, outcome.sites, strict=True)),
        library_section(outcome),
        _selection(outcome),
        _gates(outcome),
        _traffic(outcome, history),
        _timeline(outcome.timeline),
        subtitle=f"Seed {outcome.seed}; " + ", ".join(f"{site.name}: {site.task}" for site in outcome.sites),
    )


def _told(outcome: Outcome) -> Html:
    return bullets([f"{site.name}: {site.simulated}" for site in outcome.sites])


def _summary(outcome: Outcome) -> Html:
    header = (
        "site",
        "in service",
        "score",
        "best classical",
        "score",
        "difference [95 %]",
        "fields",
        "verdict",
    )
    return table(
        header, [summary_row(site) for site in outcome.sites], caption="Held-out frames, against the truth"
    )


def summary_row(site: SiteOutcome) -> tuple[str, ...]:
    """Sum a site up: method, score, rival, score, difference, fields, verdict."""
    scores, method = site.scores, site.method.final
    service = "nothing" if method is None else f"{method.id} {method.version}"
    if scores is None:
        return (site.name, service, "-", "-", "-", "-", "-", site.failure or "no score")
    return (
        site.name,
        service,
        measured(scores.final, scores.metric),
        scores.best_classical_name or "-",
        measured(scores.best_classical, scores.metric),
        interval(scores.difference, scores.difference_ci95, scores.metric),
        str(scores.fields),
        verdict(site, scores),
    )


def verdict(site: SiteOutcome, scores: Scores) -> str:
    """Say who won at a site, and whether what is in service is that."""
    if site.assigned == CLASSICAL:
        return f"{CLASSICAL} is assigned; the gate's last word: {site.reason}"
    if scores.difference_ci95 is None:
        return "too few held-out fields for an interval"
    low, high = scores.difference_ci95
    if low > 0:
        return "the network beats the best classical algorithm"
    return (
        "the best classical algorithm is better here"
        if high < 0
        else "cannot be told from the best classical"
    )


def _difference_plot(outcome: Outcome) -> Html:
    rows = []
    for site in outcome.sites:
        if site.scores is None or site.scores.metric == DICE:
            continue
        pairs = (
            ("best classical", site.scores.difference, site.scores.difference_ci95, True),
            ("first release", site.scores.difference_to_first, site.scores.difference_to_first_ci95, False),
        )
        rows += [
            IntervalRow(f"{site.name} - {rival}", value, ci95, ours)
            for rival, value, ci95, ours in pairs
            if value is not None and ci95 is not None
        ]
    if not rows:
        return text("No difference can be given.")
    caption = "Method in service minus its rivals, paired over fields of view, 95 % interval."
    return picture(interval_plot(rows, "difference in dB"), caption)


def _site(closed: Closed, found: SiteOutcome) -> Html:
    blocks = [text(f"{closed.site.told}. The instrument is assigned {found.assigned}.")]
    if closed.panels:
        blocks.append(
            picture(montage(closed.panels), f"{found.name}: one held-out frame, and a part of it enlarged.")
        )
    if closed.scores is not None:
        rows = [
            (scored.key, *(None if value is None else round(value, 3) for value in scored.means.values()))
            for scored in closed.scores.methods
        ]
        metrics = [str(metric) for metric in closed.scores.methods[0].means] if closed.scores.methods else []
        caption = f"Means over {closed.scores.fields} fields ({closed.scores.frames} frames); "
        if found.segmentation is None:
            caption += "PSNR with the truth's maximum - minimum as data range"
        blocks.append(table(("method", *metrics), rows, caption=caption))
    if found.segmentation is not None and found.segmentation.objects:
        blocks.append(objects_table(found.segmentation.objects))
    frames = found.frames
    blocks.append(
        text(
            f"{frames.acquired} acquired = {frames.reconstructed} reconstructed + {frames.waiting} waiting + "
            f"{frames.set_aside} set aside; {frames.returned} returned (every {frames.every_n}-th); "
            f"largest backlog {found.backlog_max}."
        )
    )
    if found.audited:
        rows = [(one.result, one.method, _deviation(one), one.fault or "as claimed") for one in found.audited]
        header = ("result", "method", "largest difference", "provenance")
        blocks.append(details("Results repeated from their provenance", table(header, rows)))
    return section(f"Site {found.name}", *blocks)


def _deviation(one: Audited) -> str:
    if one.relabelled_px is not None:
        return f"{one.relabelled_px} pixels"
    return "-" if one.largest_difference_counts is None else f"{one.largest_difference_counts:g} counts"


def _selection(outcome: Outcome) -> Html:
    blocks: list[Html] = []
    for each in outcome.selection:
        rows = [
            (
                one["network"],
                one["version"],
                measured(one["score"], each["metric"]),
                interval(one["behind_best"], one["behind_best_ci95"], each["metric"]),
            )
            for one in each["ranking"]
        ]
        header = ("network", "version", "score", "behind the best [95 %]")
        blocks += [table(header, rows, caption=f"{_whose(each)}: {each['metric']}"), text(each["reason"])]
    return section("Selection", text("On the tuning images of each instrument."), *blocks)


def _gates(outcome: Outcome) -> Html:
    blocks: list[Html] = []
    for gate in outcome.gates:
        passed = "passed" if gate["passed"] else "not passed"
        title = f"{_whose(gate)}: {gate['candidate']} {passed}; assigned: {gate['assigned']}"
        blocks.append(details(title, bullets(gate["reasons"]), _comparisons(gate)))
    told = "On the gate images of each instrument: without truth, or against labels where it segments."
    return section("Gates", text(told), *blocks)


def _whose(found: dict[str, Any]) -> str:
    """Name the site, and why: a later campaign, or a federation."""
    if found.get("campaign", 1) > 1:
        return f"{found['site']}, improvement {found['campaign']}"
    return f"{found['site']}, federated" if "federation" in found else str(found["site"])


def _comparisons(gate: dict[str, Any]) -> Html:
    rows = [
        (
            each["rival"],
            each["role"],
            interval(each["difference"], tuple(each["ci95"]), gate.get("metric", "psnr")),
            each["fields"],
        )
        for each in gate["comparisons"]
    ]
    return table(("rival", "role", "candidate minus rival [95 %]", "fields"), rows)


def _traffic(outcome: Outcome, history: Sequence[Point]) -> Html:
    names = [site.name for site in outcome.sites]
    times = [point.at_s for point in history]
    backlog = [(name, times, [float(_of(point, name, "waiting")) for point in history]) for name in names]
    done = [(name, times, [float(_of(point, name, "reconstructed")) for point in history]) for name in names]
    kinds = sorted({kind for site in outcome.sites for kind in site.bytes_out})
    bytes_rows: list[tuple[Cell, ...]] = [
        (site.name, *(site.bytes_out.get(kind, 0) for kind in kinds)) for site in outcome.sites
    ]
    rates = [
        (site.name, _rate(site.acquisition_mpix_per_s), _rate(site.throughput_mpix_per_s), site.backlog_max)
        for site in outcome.sites
    ]
    return section(
        "Throughput, backlog and what left each site",
        table(("site", "acquisition MPix/s", "reconstruction MPix/s", "largest backlog"), rates),
        picture(line_plot(backlog, x_label="seconds", y_label="frames waiting"), "Backlog over time."),
        picture(line_plot(done, x_label="seconds", y_label="frames reconstructed"), "Throughput over time."),
        table(
            ("site", *(kind.replace("_", " ") for kind in kinds)),
            bytes_rows,
            caption="Bytes that left, by kind",
        ),
    )


def _of(point: Point, name: str, count: str) -> int:
    found = point.sites.get(name)
    return 0 if found is None else int(getattr(found, count))


def _rate(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _timeline(moments: Sequence[Moment]) -> Html:
    last = max((moment.at_s for moment in moments), default=0.0)
    begun: dict[tuple[str, str], float] = {}
    events = []
    for moment in moments:
        key = (moment.site, moment.stage)
        if moment.text == "begins":
            begun.setdefault(key, moment.at_s)
        elif key in begun and not moment.text.startswith("step "):
            start = begun.pop(key)
            label = moment.stage if moment.at_s - start > _LONGEST_LABEL_SHARE * last else ""
            events.append(Event(moment.site, label, start, moment.at_s))
    rows = [(f"{moment.at_s:.1f}", moment.site, moment.stage, moment.text) for moment in moments]
    listed = details("Every event", table(("s", "site", "stage", "what"), rows))
    drawn = (
        picture(timeline(events), "Stages of each campaign, which take turns, and of the federation.")
        if events
        else text("")
    )
    return section("Timeline", drawn, listed)
