"""`synoptic benchmark run --images`: methods scored on a folder of micrographs."""

import json
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import typer

from benchmark.assessment import Assessment, assess
from benchmark.baselines import classical
from benchmark.cases import Case, Truth
from benchmark.errors import BenchmarkError
from benchmark.method import Method
from benchmark.metrics import Metric
from benchmark.micrographs import Degrading, Mode, cases_of, read_folder, split_cases
from benchmark.named import cast
from benchmark.networks import as_method
from benchmark.report import write_page
from benchmark.run_page import run_page
from benchmark.scores import method_key
from benchmark.trust.doubt import scores_in_doubt
from model_library.wire.methods import ClassicalRef
from model_library.wire.tasks import Task
from model_library.zoo.registry import Library


@dataclass(frozen=True)
class FolderRun:
    """What is asked of a folder of micrographs.

    Attributes
    ----------
    networks
        Ids, folders or bioimage.io packages; none for all of the library that serve the task.
    crop_px
        Side of the crop that is scored, at full size.
    at_most
        Read only the first files.
    """

    images: Path
    task: Task
    how: Degrading
    networks: tuple[str, ...]
    library: Path | None
    crop_px: int
    at_most: int | None
    seed: int


def run_folder(asked: FolderRun, json_file: Path | None, report: Path | None) -> None:
    """Score, print the rows, and write what was asked for.

    Raises
    ------
    SynopticError
        The images do not suffice, or a network is unknown.
    """
    with TemporaryDirectory() as aside:
        methods = _networks(asked.task, asked.networks, asked.library, Path(aside))
    folder = read_folder(asked.images, at_most=asked.at_most)
    rng = np.random.default_rng(asked.seed)
    cases = cases_of(folder.images, asked.how, scale=asked.task.scale, crop_px=asked.crop_px, rng=rng)
    tuning, scored = split_cases(cases)
    found = assess(methods, asked.task, tuning, scored, metrics=_metrics(scored), seed=asked.seed)
    doubt = scores_in_doubt(scored)
    if json_file is not None:
        content = {
            "mode": asked.how.mode,
            "refused": folder.refused,
            "doubt": doubt,
            **found.model_dump(mode="json"),
        }
        json_file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    if report is not None:
        _write_report(report, found, (asked.how.mode, doubt), scored, methods)
    echo_rows(found)
    if doubt is not None:
        typer.echo(doubt, err=True)
    for name, why in folder.refused.items():
        typer.echo(f"left out {name}: {why}", err=True)


def echo_rows(found: Assessment) -> None:
    """Print one line per method and metric."""
    for row in found.rows:
        places = row.metric.decimals
        value = f"{row.value:.{places}f}" if row.value is not None else "none"
        span = f"[{row.ci95[0]:.{places}f}, {row.ci95[1]:.{places}f}]" if row.ci95 else ""
        # Which one is best was asked of the first metric; by another one it may be another.
        leads = row.metric is found.rows[0].metric and row.method == found.best_classical
        best = "  best classical" if leads else ""
        typer.echo(f"{row.method:32} {row.metric.titled:16} {value:>9} {span:20} n={row.n}{best}")


def _networks(task: Task, names: tuple[str, ...], folder: Path | None, aside: Path) -> list[Method]:
    """Open the named networks, packages taken into `aside`; without names all that serve the task."""
    if not names:
        library = Library(folder)
        return [as_method(library.load(card.id)) for card in library.for_task(task)]
    found = cast(names, library=folder, aside=aside, task=task)
    if found.tuned:
        raise BenchmarkError(
            f"expected networks, found {', '.join(name for name in names if name not in found.networks)};"
            " classical algorithms take part in any case"
        )
    methods = found.methods(())
    keys = [method_key(method.ref) for method in methods.values()]
    if len(set(keys)) < len(keys):
        raise BenchmarkError(
            f"expected networks of different names, found {', '.join(sorted(keys))}; put two versions beside"
            " each other with `synoptic benchmark compare`"
        )
    return list(methods.values())


def _metrics(cases: tuple[Case, ...]) -> tuple[Metric, ...]:
    if isinstance(cases[0].reference, Truth):
        return (Metric.PSNR, Metric.PSNR_AFFINE, Metric.SSIM, Metric.NRMSE)
    return (Metric.PSNR_REPEAT,)


def _write_report(
    path: Path,
    found: Assessment,
    how: tuple[Mode, str | None],
    cases: tuple[Case, ...],
    networks: list[Method],
) -> None:
    leading = [row for row in found.rows if row.metric is found.rows[0].metric]
    best = next(row.ref for row in leading if row.method == found.best_classical)
    assert isinstance(best, ClassicalRef)
    shown: list[Method] = [classical(best, found.task)]
    ahead = [row.method for row in leading if row.ref.kind == "network" and row.value is not None]
    shown += [method for method in networks if method_key(method.ref) in ahead[:1]]
    write_page(path, run_page(found, how, cases[0], shown))
