"""`synoptic benchmark run --suite real`: what the command does once its words are parsed."""

import json
from dataclasses import dataclass
from pathlib import Path

import typer

from benchmark.errors import BenchmarkError
from benchmark.real.build import named
from benchmark.real.finished import Finished
from benchmark.real.judging import Terms
from benchmark.real.made import Making, with_made
from benchmark.real.page import suite_page
from benchmark.real.rows import RealRow
from benchmark.real.sources import data_folder
from benchmark.real.suite import SuiteResult, run_suite
from benchmark.real.table import CASES
from benchmark.real.tuned import TuneConfig
from benchmark.report import write_page
from model_library.zoo.registry import Library


@dataclass(frozen=True)
class SuiteRun:
    """What is asked of the suite.

    Attributes
    ----------
    networks, cases
        To which the run is restricted; empty for all.
    make
        Recipes of networks that do not ship, to be made first.
    work
        Folder of finished cases.
    tune
        How networks are fine-tuned; None not at all.
    """

    data: Path | None
    library: Path | None
    networks: tuple[str, ...]
    cases: tuple[str, ...]
    work: Path | None
    tune: TuneConfig | None
    self_ensemble: bool
    seed: int
    make: tuple[str, ...] = ()


def run_real(asked: SuiteRun, json_file: Path | None, report: Path | None) -> None:
    """Run the suite, print its rows, and write what was asked for.

    Raises
    ------
    BenchmarkError
        The folder of micrographs, a case or a network is unknown, or no case could be run.
    """
    cases, data = named(CASES, asked.cases), data_folder(asked.data)
    library = _library(asked, data)
    for network_id in asked.networks:
        library.path(network_id)
    terms = Terms(
        data=data,
        library=library,
        networks=asked.networks,
        tune=asked.tune,
        own_frames=TuneConfig(seed=asked.seed),
        work=asked.work,
        self_ensemble=asked.self_ensemble,
        seed=asked.seed,
    )
    finished = Finished(asked.work)
    found = run_suite(cases, terms, finished, _tell)
    if not found.rows:
        raise BenchmarkError(
            f"expected a case that can be run, found none: {'; '.join(found.skipped.values())}"
        )
    if json_file is not None:
        content = json.dumps(found.model_dump(mode="json"), indent=2)
        json_file.write_text(content + "\n", encoding="utf-8")
    if report is not None:
        write_page(report, suite_page(cases, found, finished))
    _echo(found)


def _library(asked: SuiteRun, data: Path) -> Library:
    library = Library(asked.library)
    if not asked.make:
        return library
    if asked.work is None:
        raise BenchmarkError(
            "expected a folder in which networks are made (--work), found none; name one: training takes"
            " minutes, and goes on there if it is interrupted"
        )
    return with_made(library, Making(asked.make, data, asked.work), _tell)


def _tell(words: str) -> None:
    typer.echo(words, err=True)


def _echo(found: SuiteResult) -> None:
    for row in (*found.rows, *found.pooled):
        typer.echo(line_of(row))


def line_of(row: RealRow) -> str:
    """One row in words: value, interval, and the difference to the best classical algorithm."""
    places = row.metric.decimals
    value = f"{row.value:.{places}f}" if row.value is not None else "-"
    span = f"[{row.ci95[0]:.{places}f}, {row.ci95[1]:.{places}f}]" if row.ci95 else ""
    gain = ""
    if row.difference is not None and row.difference_ci95 is not None:
        low, high = row.difference_ci95
        gain = (
            f"{row.difference:+.{places}f} [{low:+.{places}f}, {high:+.{places}f}] over {row.best_classical}"
        )
    told = f"  {row.refused}" if row.refused else ""
    return f"{row.case:26} {row.method:34} {row.metric:16} {value:>8} {span:20} n={row.n:<3} {gain}{told}"
