"""The page of the suite: what all cases say together, then every case with its picture."""

from collections.abc import Sequence

from benchmark.figures import IntervalRow, interval_plot
from benchmark.real.finished import Finished
from benchmark.real.judging import task_name
from benchmark.real.rows import RealRow
from benchmark.real.suite import SuiteResult
from benchmark.real.table import RealCase
from benchmark.report import Html, counted, details, note, page, picture, section, table, text

_HEADER = ("case", "method", "kind", "metric", "value", "95 % interval", "n", "difference", "interval", "saw")


def suite_page(cases: Sequence[RealCase], found: SuiteResult, finished: Finished) -> str:
    """Whole HTML page."""
    tasks = list(dict.fromkeys(task_name(case) for case in cases))
    skipped = [note(f"{name} was skipped: {why}") for name, why in found.skipped.items()]
    methods = len({row.method for row in found.rows})
    refused = sum(row.refused is not None for row in found.rows)
    return page(
        "Real micrographs",
        text(
            "No network is scored on an image that its training saw (by SHA-256); classical algorithms are"
            " tuned on other images of the same source. Planted noise lies on micrographs that were binned"
            " against their own, which bounds every score. Differences are paired over fields of view,"
            " against the best tuned classical algorithm of the case; intervals are 95 %, bootstrapped.",
            *([f"{counted(refused, 'row')} without a score: each says why."] if refused else []),
        ),
        *skipped,
        *([section("All cases together", _rows(found.pooled))] if found.pooled else []),
        *(_task(task, cases, found, finished) for task in tasks),
        subtitle=f"{counted(len(cases), 'case')}, {counted(methods, 'method')}, seed {found.seed}",
    )


def _task(task: str, cases: Sequence[RealCase], found: SuiteResult, finished: Finished) -> Html:
    chosen = [case for case in cases if task_name(case) == task]
    blocks: list[Html] = []
    plotted = _gains(chosen, found)
    if plotted:
        unit = chosen[0].metrics[0].unit or chosen[0].metrics[0].value
        blocks.append(
            picture(
                interval_plot(plotted, f"difference to the best classical algorithm, {unit}"),
                "The best network of each case; right of the dashed line it is ahead"
                + ("" if chosen[0].metrics[0].higher_is_better else " (left, here: lower is better)"),
            )
        )
    for case in chosen:
        rows = [row for row in found.rows if row.case == case.name]
        shown = finished.picture(case.name)
        if rows:
            pictures = [picture(shown, f"{case.source.instrument}; first scored image")] if shown else []
            blocks.append(details(f"{case.name}: {case.source.instrument}", _rows(rows), *pictures))
    return section(task, *blocks)


def _gains(cases: Sequence[RealCase], found: SuiteResult) -> list[IntervalRow]:
    plotted = []
    for case in cases:
        networks = [
            row
            for row in found.rows
            if row.case == case.name and row.metric is case.metrics[0] and row.kind != "classical"
        ]
        best = next((row for row in networks if row.difference is not None), None)
        if best is not None and best.difference is not None and best.difference_ci95 is not None:
            name = f"{case.name}: {best.method}"
            plotted.append(IntervalRow(name, best.difference, best.difference_ci95, best.ahead))
    return plotted


def _rows(rows: Sequence[RealRow]) -> Html:
    return table(_HEADER, [_cells(row) for row in rows])


def _cells(row: RealRow) -> tuple[str | int | None, ...]:
    places = row.metric.decimals

    def number(value: float | None, sign: str = "") -> str | None:
        return None if value is None else f"{value:{sign}.{places}f}"

    def interval(ends: tuple[float, float] | None, sign: str = "") -> str | None:
        return None if ends is None else f"[{number(ends[0], sign)}, {number(ends[1], sign)}]"

    return (
        row.case,
        row.method,
        row.kind if row.refused is None else f"refused: {row.refused}",
        row.metric.value,
        number(row.value),
        interval(row.ci95),
        row.n,
        number(row.difference, "+"),
        interval(row.difference_ci95, "+"),
        row.saw.value if row.kind != "classical" else None,
    )
