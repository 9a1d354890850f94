"""Sections of `synoptic benchmark report`, one for the JSON of each command."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmark.figures import IntervalRow, figure_png, interval_plot
from benchmark.metrics import Metric
from benchmark.report import Html, bullets, figures_row, note, picture, section, table, text
from benchmark.selection.told import FolderSelection, draw_selection
from benchmark.trust.findings import Finding
from benchmark.trust.page import findings_table
from benchmark.verdict import Verdict

Content = Mapping[str, Any]
"""What a command wrote as JSON."""


def compare_section(content: Content, drawn: Sequence[bytes]) -> Html:
    """Differences at every site, with their intervals."""
    rows = content["rows"]
    metric = Metric(rows[0]["metric"]).titled
    plotted = [
        IntervalRow(row["site"], row["difference"], tuple(row["ci95"]), row["site"] == "pooled")
        for row in rows
        if row["difference"] is not None
    ]
    cells = [
        (
            row["site"],
            *(_rounded(row[key]) for key in ("a", "b", "difference")),
            _span(row["ci95"]),
            _rounded(row["effect_size"], 2),
            None if row["wins"] is None else f"{row['wins']:.0%}",
            row["fields"],
        )
        for row in rows
    ]
    header = ("site", "a", "b", "a - b", "95 % interval", "effect size", "a better on", "fields")
    plot = [picture(interval_plot(plotted, f"{metric}, a - b"), "The dashed line is no difference")]
    return section(
        f"{content['a']} against {content['b']}",
        text(f"{metric}; paired over fields of view."),
        *_doubted(content),
        *(plot if plotted else []),
        table(header, cells),
        *_drawn(drawn),
    )


def gate_section(content: Content, drawn: Sequence[bytes]) -> Html:
    """Verdict, reasons, comparisons, sites and trust checks."""
    verdict = Verdict.model_validate(content["verdict"])
    answer = "passes" if verdict.passed else "does not pass"
    tiles = [(answer, verdict.candidate), (verdict.assigned, "to be used"), (str(verdict.fields), "fields")]
    plotted = [
        IntervalRow(one.rival, one.comparison.difference, one.interval, one.role == "in service")
        for one in verdict.comparisons
    ]
    label = f"{verdict.candidate} minus the other, {verdict.metric.titled}"
    blocks = [figures_row(tiles), bullets(verdict.reasons)]
    if plotted:
        caption = f"{100 * verdict.level:.4g} % intervals, look {verdict.look}"
        blocks.append(picture(interval_plot(plotted, label), caption))
    if verdict.sites:
        cells = [(s.site, f"{s.difference:+.3f}", f"{s.at_least:+.3f}", s.fields) for s in verdict.sites]
        blocks.append(table(("site", f"difference of {verdict.metric.titled}", "at least", "fields"), cells))
    if verdict.trust:
        blocks.append(findings_table(verdict.trust))
    return section(f"Gate: {verdict.candidate}", *blocks, *_drawn(drawn))


def trust_section(content: Content, _: Sequence[bytes]) -> Html:
    """Show what the trust checks found."""
    findings = [Finding.model_validate(each) for each in content["findings"]]
    title = f"Trust: {content['network']} on {len(content['images'])} images"
    return section(title, findings_table(findings))


def select_section(content: Content, _: Sequence[bytes]) -> Html:
    """Every network with its score and speed, and the front of quality against throughput."""
    found = FolderSelection.model_validate(content)
    keeps_up = {None: None, True: "yes", False: "no"}
    cells = [
        (
            row.network,
            _rounded(row.score),
            _span(row.ci95),
            _rounded(row.cost_s, 2),
            _rounded(row.mpix_per_s, 2),
            keeps_up[row.keeps_up],
            row.reason,
        )
        for row in found.rows
    ]
    metric = found.rows[0].metric.titled
    header = ("network", metric, "95 % interval", "cost, s", "MPix/s", "keeps up", "reason")
    blocks = [text(found.selection.reason), *_doubted(content), table(header, cells)]
    if found.selection.fit is not None:
        front = figure_png(lambda axes: draw_selection(axes, found.selection))
        blocks.append(picture(front, "Quality against throughput"))
    return section("Selection", *blocks)


def run_section(content: Content, _: Sequence[bytes]) -> Html:
    """Rows of `synoptic benchmark run`, of a folder or a suite."""
    rows = content["rows"]
    metric = rows[0]["metric"]
    leading = [row for row in rows if row["metric"] == metric and row["value"] is not None]
    several = len({row.get("case") for row in rows}) > 1
    plotted = [
        IntervalRow(
            f"{row['case']}: {row['method']}" if several else row["method"],
            row["value"],
            tuple(row["ci95"] or (row["value"], row["value"])),
            (row.get("kind") or row.get("ref", {}).get("kind")) == "network",
        )
        for row in leading[:40]
    ]
    named = any("case" in row for row in rows)
    cells = [
        (
            *((row["case"],) if named else ()),
            row["method"],
            Metric(row["metric"]).titled,
            _rounded(row["value"]),
            _span(row["ci95"]),
            *_gain(row),
            row.get("n"),
        )
        for row in rows
    ]
    gain = ("over the best classical", "95 % interval")
    header = ("method", "metric", "value", "95 % interval", *gain, "fields")
    plot = interval_plot(plotted, Metric(metric).titled, zero=False)
    return section(
        "Scores",
        *_doubted(content),
        picture(plot, "Means over fields with 95 % intervals"),
        table(("case", *header) if named else header, cells),
    )


def _gain(row: Content) -> tuple[str | None, str | None]:
    """Paired difference to the best classical algorithm and its interval, of a folder or a suite."""
    gain = row.get("gain") or {"difference": row.get("difference"), "ci95": row.get("difference_ci95")}
    return _rounded(gain["difference"]), _span(gain["ci95"])


def _doubted(content: Content) -> list[Html]:
    """Why its scores are not to be relied on, where the command found that."""
    doubt = content.get("doubt")
    return [] if doubt is None else [note(doubt)]


def _drawn(drawn: Sequence[bytes]) -> list[Html]:
    if not drawn:
        return [note("No picture: images or methods are not at hand (give --images).")]
    return [picture(png, "First scored image, both results, and where they differ") for png in drawn]


def _rounded(value: float | None, places: int = 3) -> str | None:
    return None if value is None else f"{value:.{places}f}"


def _span(interval: Sequence[float] | None) -> str | None:
    return None if interval is None else f"[{interval[0]:.3f}, {interval[1]:.3f}]"
