"""`synoptic benchmark compare`: two methods on any folder of images, at every site and pooled."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import typer
from pydantic import Field

from benchmark.compare import compare
from benchmark.errors import BenchmarkError
from benchmark.evaluate import evaluate
from benchmark.metrics import Metric
from benchmark.named import cast, labels_of
from benchmark.report import write_page
from benchmark.scores import Scores, method_key
from benchmark.sites import Asked, read_sites
from benchmark.trust.doubt import scores_in_doubt
from model_library.wire.base import Message
from model_library.wire.tasks import Task

POOLED = "pooled"


class SiteRow(Message):
    """Two methods at one site, or over the fields of all (`pooled`).

    Attributes
    ----------
    a, b
        Means over fields; None where a method lacks a score.
    difference, ci95
        a - b, paired over fields, with the bootstrap interval; None for fewer than two fields.
    effect_size
        Mean difference over its standard deviation between fields (Cohen's d for pairs).
    wins
        Share of the fields on which a is better, by the metric's own direction.
    """

    site: str
    metric: Metric
    a: float | None
    b: float | None
    difference: float | None = None
    ci95: tuple[float, float] | None = None
    effect_size: float | None = None
    wins: float | None = None
    fields: int = Field(ge=1)


@dataclass(frozen=True)
class CompareRun:
    """What is asked: names as in `named.cast`."""

    a: str
    b: str
    asked: Asked
    library: Path | None = None
    task: Task | None = None


def run_compare(run: CompareRun, json_file: Path | None, report: Path | None) -> tuple[SiteRow, ...]:
    """Score, compare, print one line per site, and write what was asked for.

    A classical algorithm is tuned on the tuning fields of all sites, and then both are scored on the other
    fields; two networks are scored on every field.

    Raises
    ------
    SynopticError
        A method or the images are refused.
    """
    if run.a == run.b:
        raise BenchmarkError(f"expected two methods, found {run.a} twice")
    with TemporaryDirectory() as aside:
        found = cast((run.a, run.b), library=run.library, aside=Path(aside), task=run.task)
        read = read_sites(run.asked, found.task)
        tuning, scored = read.split(tuned=found.tuned)
        typer.echo(f"{len(scored)} cases of {len(read.names)} sites", err=True)
        methods = found.methods(tuning)
        labels = labels_of(methods)
        scores = {labels[name]: evaluate([method], scored) for name, method in methods.items()}
        doubt = scores_in_doubt(scored)
        first, second = scores.values()
        rows = site_rows(first, second, read.sites, seed=run.asked.seed)
        content = _content(run, labels, rows, scores) | {
            "doubt": doubt,
            "sites": read.sites,
            "refused": read.refused,
        }
        if report is not None:
            from benchmark.report_page import whole_page
            from benchmark.report_pictures import example
            from benchmark.report_sections import compare_section

            shown = example(scored[0], {labels[name]: method for name, method in methods.items()})
            write_page(report, whole_page([compare_section(content, [shown])]))
    if json_file is not None:
        json_file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    _echo(labels[run.a], labels[run.b], rows)
    if doubt is not None:
        typer.echo(doubt, err=True)
    return rows


def told_of(scores: Mapping[str, Scores]) -> dict[str, object]:
    """As JSON, what was scored under each label, and its score per field of view."""
    return {
        "methods": {label: found.only.model_dump(mode="json") for label, found in scores.items()},
        "scores": {label: found.by_field(method_key(found.only)) for label, found in scores.items()},
    }


def site_rows(a: Scores, b: Scores, sites: Mapping[str, str], *, seed: int = 0) -> tuple[SiteRow, ...]:
    """Compare two methods' scores, one method each, at every site and pooled; pooled comes last."""
    ours, theirs = (one.by_field(method_key(one.only)) for one in (a, b))
    names = sorted({sites[field] for field in ours})
    groups = {name: [field for field in ours if sites[field] == name] for name in names}
    groups = {**(groups if len(groups) > 1 else {}), POOLED: list(ours)}
    return tuple(
        _row(name, a.metric, {f: ours[f] for f in fields}, {f: theirs[f] for f in fields}, seed)
        for name, fields in groups.items()
    )


def _row(
    site: str, metric: Metric, a: Mapping[str, float | None], b: Mapping[str, float | None], seed: int
) -> SiteRow:
    ours = {field: value for field, value in a.items() if value is not None}
    theirs = {field: value for field, value in b.items() if value is not None}
    whole = len(ours) == len(a), len(theirs) == len(b)
    row = SiteRow(
        site=site,
        metric=metric,
        a=float(np.mean(list(ours.values()))) if whole[0] else None,
        b=float(np.mean(list(theirs.values()))) if whole[1] else None,
        fields=len(a),
    )
    if not all(whole) or len(a) < 2:
        return row
    found = compare(ours, theirs, seed=seed)
    differences = np.array([ours[field] - theirs[field] for field in ours])
    spread = float(differences.std(ddof=1))
    sign = 1 if metric.higher_is_better else -1
    return row.model_copy(
        update={
            "difference": found.difference,
            "ci95": found.ci95,
            "effect_size": found.difference / spread if spread > 0 else None,
            "wins": float((sign * differences > 0).mean()),
        }
    )


def _content(
    run: CompareRun, labels: Mapping[str, str], rows: tuple[SiteRow, ...], scores: Mapping[str, Scores]
) -> dict[str, object]:
    return {
        "kind": "compare",
        "a": labels[run.a],
        "b": labels[run.b],
        "named": {"a": run.a, "b": run.b},
        "images": str(run.asked.images),
        "asked": run.asked.told,
        "rows": [row.model_dump(mode="json") for row in rows],
        **told_of(scores),
        "failures": {label: why for label, found in scores.items() for why in found.failures.values()},
        "seed": run.asked.seed,
    }


def _echo(a: str, b: str, rows: tuple[SiteRow, ...]) -> None:
    typer.echo(f"{a} - {b}, {rows[0].metric}")
    for row in rows:
        places, unit = row.metric.decimals, row.metric.unit
        if row.difference is None or row.ci95 is None:
            typer.echo(f"{row.site:20} no interval: {row.fields} fields, or a score is missing")
            continue
        low, high = row.ci95
        size = "" if row.effect_size is None else f"d = {row.effect_size:+.2f}  "
        typer.echo(
            f"{row.site:20} {row.difference:+.{places}f} {unit}"
            f" [{low:+.{places}f}, {high:+.{places}f}]  {size}better on {row.wins:.0%} of {row.fields} fields"
        )
