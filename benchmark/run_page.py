"""The page that `synoptic benchmark run --report` writes."""

from collections.abc import Sequence

import numpy as np

from benchmark.assessment import Assessment, Row
from benchmark.cases import Case, Repeat, Truth, score, target_of
from benchmark.figures import IntervalRow, Panel, interval_plot, map_row, montage
from benchmark.method import Method
from benchmark.metrics import Metric
from benchmark.micrographs import Mode
from benchmark.report import Html, note, page, picture, section, table, text
from benchmark.scores import method_key
from model_library.images.frame import Grey

_MODES: dict[Mode, str] = {
    "truth": "Against the noise-free images that were given.",
    "added_noise": "Against the images as given: the noise was added here, and the images' own noise"
    " limits the scores.",
    "repeat": "Without truth, by recorruption: what an independent repeat of the acquisition would see. "
    "Super-resolution is judged after binning to the sampling of the acquisition.",
}


def run_page(
    found: Assessment, how: tuple[Mode, str | None], example: Case, methods: Sequence[Method]
) -> str:
    """Whole HTML page: scores with intervals, the gain over the best classical algorithm, an example.

    `how` are how references were come by, and why the scores are not to be relied on, if they are not.
    """
    mode, doubt = how
    metric = found.rows[0].metric
    leading = [row for row in found.rows if row.metric is metric and row.value is not None]
    fields = len(found.scored_fields)
    failed = [note(f"{key} has no score: {why}") for key, why in sorted(found.failures.items())]
    return page(
        "Benchmark",
        text(
            f"{_MODES[mode]} Classical algorithms were tuned on"
            f" {len(found.tuning_fields)} other fields of view. Intervals are 95 %,"
            f" bootstrapped over {fields} fields."
        ),
        *([note(doubt)] if doubt is not None else []),
        *failed,
        section("Scores", picture(_scores(leading, metric), f"{metric} over {fields} fields"), _rows(found)),
        section(
            f"Gain over {found.best_classical}, the best classical algorithm",
            picture(_gains(leading, metric), "Paired differences; the dashed line is no difference"),
        ),
        section("Example", *_example(example, methods, metric)),
        subtitle=f"{found.task.kind.replace('_', '-')}, {len(leading)} methods, {fields} fields of view",
    )


def _scores(rows: Sequence[Row], metric: Metric) -> bytes:
    plotted = [
        IntervalRow(row.method, row.value, row.ci95 or (row.value, row.value), row.ref.kind == "network")
        for row in rows
        if row.value is not None
    ]
    return interval_plot(plotted, metric.titled, zero=False)


def _gains(rows: Sequence[Row], metric: Metric) -> bytes:
    plotted = [
        IntervalRow(row.method, row.gain.difference, row.gain.ci95, row.ref.kind == "network")
        for row in rows
        if row.gain is not None
    ]
    return interval_plot(plotted, f"difference of {metric.titled}")


def _rows(found: Assessment) -> Html:
    rows = []
    for row in found.rows:
        places = row.metric.decimals
        span = f"[{row.ci95[0]:.{places}f}, {row.ci95[1]:.{places}f}]" if row.ci95 else None
        value = f"{row.value:.{places}f}" if row.value is not None else None
        speed = f"{row.megapixels_per_s:.2f}" if row.megapixels_per_s else None
        rows.append((row.method, row.metric.titled, value, span, row.n, speed))
    return table(("method", "metric", "value", "95 % interval", "fields", "MPix/s"), rows)


def _example(case: Case, methods: Sequence[Method], metric: Metric) -> list[Html]:
    panels = [Panel("input", case.input)]
    results = [(method_key(method.ref), method(case.input)) for method in methods]
    for key, pixels in results:
        figure = score(pixels, case.reference, metric)
        panels.append(Panel(key, pixels, f"{figure:.{metric.decimals}f} {metric.unit}"))
    match case.reference:
        case Truth():
            panels.append(Panel("truth", case.reference.pixels))
        case Repeat():
            panels.append(Panel("as acquired", case.reference.pair.acquired))
        case _:
            panels.append(Panel("truth", target_of(case.reference).astype(np.float32)))
    shown = picture(montage(panels), f"{case.name}: the whole field above, the marked square below")
    return [shown, *_differences(case, results)]


def _differences(case: Case, results: Sequence[tuple[str, Grey]]) -> list[Html]:
    """Map each result's error where the truth is known, else where the results differ."""
    if isinstance(case.reference, Truth):
        truth = case.reference.pixels
        panels = [Panel(f"{key} - truth", pixels - truth, signed=True) for key, pixels in results]
        return [picture(map_row(panels), "Errors, in grey values")]
    if len(results) < 2:
        return []
    (one, a), (other, b) = results[:2]
    panels = [Panel(f"{other} - {one}", b - a, signed=True)]
    return [picture(map_row(panels), "Where the two results differ, in grey values")]
