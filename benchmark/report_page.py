"""`synoptic benchmark report`: one page from the JSON files that the other commands wrote."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmark.comparing import example
from benchmark.errors import BenchmarkError
from benchmark.figures import IntervalRow, interval_plot, line_plot
from benchmark.micrographs import Degrading
from benchmark.named import cast, labels_of
from benchmark.report import Html, bullets, figures_row, note, page, picture, section, table, text, write_page
from benchmark.sites import Asked, read_sites
from benchmark.trust.findings import Finding
from benchmark.trust.page import findings_table
from benchmark.verdict import Verdict
from model_library.errors import SynopticError

_Content = Mapping[str, Any]


@dataclass(frozen=True)
class ReportRun:
    """JSON files, in the order of the page, and where the pictures come from (None: no pictures)."""

    files: tuple[Path, ...]
    images: Path | None = None
    library: Path | None = None


def run_report(run: ReportRun, out: Path, json_file: Path | None) -> None:
    """Write the page, and all rows together as JSON.

    Raises
    ------
    BenchmarkError
        A file is none that a command of `synoptic benchmark` wrote.
    """
    contents = {path: _read(path) for path in run.files}
    sections = []
    for path, content in contents.items():
        make = _SECTIONS[kind_of(path, content)]
        sections.append(make(content, pictures(content, run)))
    write_page(out, whole_page(sections))
    if json_file is not None:
        told = [{"file": path.name, **content} for path, content in contents.items()]
        json_file.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


def whole_page(sections: Sequence[Html]) -> str:
    """HTML document of several sections."""
    return page("Benchmark report", *sections, subtitle=f"{len(sections)} results")


def kind_of(path: Path, content: _Content) -> str:
    """Tell which command wrote a file, by its keys."""
    for kind, keys in _KEYS.items():
        if content.get("kind") == kind or keys <= content.keys():
            return kind
    raise BenchmarkError(
        f"{path}: expected JSON of `synoptic benchmark run`, compare, gate, select or trust, found the keys"
        f" {', '.join(sorted(content)[:8])}; give a file that one of them wrote with --json"
    )


def pictures(content: _Content, run: ReportRun) -> list[bytes]:
    """Draw the first image with both methods of a comparison, if images and methods are at hand."""
    if run.images is None or content.get("kind") not in ("compare", "gate"):
        return []
    named = content.get("named") or {"a": content.get("candidate"), "b": content.get("incumbent")}
    names = [name for name in (named["a"], named["b"]) if name is not None]
    if len(names) < 2:
        return []
    with TemporaryDirectory() as aside:
        try:
            found = cast(names, library=run.library, aside=Path(aside))
            read = read_sites(Asked(run.images, Degrading()), found.task)
            methods = found.methods(read.cases)
        except SynopticError:
            # A report must not fail for want of a picture: the section says that there is none.
            return []
        labels = labels_of(methods)
        return [example(read.cases[0], {labels[name]: method for name, method in methods.items()})]


def compare_section(content: _Content, drawn: Sequence[bytes]) -> Html:
    """Differences at every site, with their intervals."""
    rows = content["rows"]
    metric = rows[0]["metric"]
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
        *(plot if plotted else []),
        table(header, cells),
        *_drawn(drawn),
    )


def gate_section(content: _Content, drawn: Sequence[bytes]) -> Html:
    """Verdict, reasons, comparisons, sites and trust checks."""
    verdict = Verdict.model_validate(content["verdict"])
    answer = "passes" if verdict.passed else "does not pass"
    tiles = [(answer, verdict.candidate), (verdict.assigned, "to be used"), (str(verdict.fields), "fields")]
    plotted = [
        IntervalRow(one.rival, one.comparison.difference, one.interval, one.role == "in service")
        for one in verdict.comparisons
    ]
    label = f"{verdict.candidate} minus the other, {verdict.metric}"
    blocks = [figures_row(tiles), bullets(verdict.reasons)]
    if plotted:
        caption = f"{verdict.level:.2%} intervals, look {verdict.look}"
        blocks.append(picture(interval_plot(plotted, label), caption))
    if verdict.sites:
        cells = [(s.site, f"{s.difference:+.3f}", f"{s.at_least:+.3f}", s.fields) for s in verdict.sites]
        blocks.append(table(("site", "difference", "at least", "fields"), cells))
    if verdict.trust:
        blocks.append(findings_table(verdict.trust))
    return section(f"Gate: {verdict.candidate}", *blocks, *_drawn(drawn))


def trust_section(content: _Content, _: Sequence[bytes]) -> Html:
    """Show what the trust checks found."""
    findings = [Finding.model_validate(each) for each in content["findings"]]
    title = f"Trust: {content['network']} on {len(content['images'])} images"
    return section(title, findings_table(findings))


def select_section(content: _Content, _: Sequence[bytes]) -> Html:
    """Ranking, and the front of quality against throughput."""
    ranking = content["ranking"]
    keys = [key for key in ranking[0] if not isinstance(ranking[0][key], dict)]
    cells = [tuple(_plain(row.get(key)) for key in keys) for row in ranking]
    blocks = [table([key.replace("_", " ") for key in keys], cells)]
    speeds = [
        (row["mpix_per_s"], row["score"])
        for row in ranking
        if row.get("mpix_per_s") and row.get("score") is not None
    ]
    if len(speeds) > 1:
        x, y = zip(*sorted(speeds), strict=True)
        series = [("networks", x, y)]
        front = line_plot(
            series, x_label="MPix/s", y_label=str(ranking[0].get("metric", "score")), points=True
        )
        blocks.append(picture(front, "Quality against throughput"))
    reason = content.get("reason")
    return section("Selection", *([text(str(reason))] if reason else []), *blocks)


def run_section(content: _Content, _: Sequence[bytes]) -> Html:
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
    cells = [
        (
            row.get("case"),
            row["method"],
            row["metric"],
            _rounded(row["value"]),
            _span(row["ci95"]),
            row.get("n"),
        )
        for row in rows
    ]
    return section(
        "Scores",
        picture(interval_plot(plotted, metric, zero=False), "Means over fields with 95 % intervals"),
        table(("case", "method", "metric", "value", "95 % interval", "fields"), cells),
    )


_KEYS: Mapping[str, frozenset[str]] = {
    "compare": frozenset({"a", "b", "rows"}),
    "gate": frozenset({"verdict"}),
    "trust": frozenset({"findings"}),
    "select": frozenset({"ranking"}),
    "run": frozenset({"rows"}),
}
_SECTIONS: Mapping[str, Callable[[_Content, Sequence[bytes]], Html]] = {
    "compare": compare_section,
    "gate": gate_section,
    "trust": trust_section,
    "select": select_section,
    "run": run_section,
}


def _read(path: Path) -> _Content:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as failure:
        raise BenchmarkError(f"{path}: expected a JSON file, found {failure}; name one") from failure
    if not isinstance(content, dict):
        raise BenchmarkError(
            f"{path}: expected a JSON object, found {type(content).__name__}; name another file"
        )
    return content


def _drawn(drawn: Sequence[bytes]) -> list[Html]:
    if not drawn:
        return [note("No picture: images or methods are not at hand (give --images).")]
    return [picture(png, "First scored image, both results, and where they differ") for png in drawn]


def _rounded(value: float | None, places: int = 3) -> str | None:
    return None if value is None else f"{value:.{places}f}"


def _span(interval: Sequence[float] | None) -> str | None:
    return None if interval is None else f"[{interval[0]:.3f}, {interval[1]:.3f}]"


def _plain(value: object) -> str | float | int | bool | None:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return (
            _span(value) if len(value) == 2 and all(isinstance(each, float) for each in value) else str(value)
        )
    return value if isinstance(value, str | int | bool) or value is None else str(value)
