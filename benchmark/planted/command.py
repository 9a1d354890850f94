"""`synoptic benchmark planted`: what the command does once its words are parsed."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
import typer

from benchmark.metrics import Metric
from benchmark.networks import as_method
from benchmark.planted.domains import DOMAINS
from benchmark.planted.library import PlantedTask, prepare
from benchmark.planted.records import Planted, PlantedReport, Summary, bars_of, summarise
from benchmark.planted.specialists import SHIPPED, SPECIALISTS
from benchmark.planted.trial import Trial, try_domain
from benchmark.selection.select import Contender

MEASURES: dict[PlantedTask, tuple[tuple[Metric, ...], Metric]] = {
    "denoise": ((Metric.PSNR_SELF,), Metric.PSNR_SELF),
    "segment": ((Metric.PLAUSIBILITY_STATED, Metric.PLAUSIBILITY), Metric.DICE_EXPECTED),
}
"""By task: those that rank without reference, told the structure's look or nothing; the one that chooses."""


@dataclass(frozen=True)
class PlantedRun:
    """What is asked.

    Attributes
    ----------
    work
        Keeps the retrained networks.
    domains, networks
        At most so many.
    """

    tasks: tuple[PlantedTask, ...]
    work: Path
    domains: int
    networks: int
    side_px: int
    seed: int


def run_planted(asked: PlantedRun, json_file: Path | None) -> None:
    """Prepare the libraries, let the selection decide, print every figure, and write what was asked for."""
    found = [_try_task(asked, task) for task in asked.tasks]
    bars = {
        words: met
        for planted, task in zip(found, asked.tasks, strict=True)
        for words, met in bars_of(planted, *MEASURES[task]).items()
    }
    report = PlantedReport(tasks=tuple(found), bars=bars)
    if json_file is not None:
        json_file.write_text(report.model_dump_json(indent=2) + "\n", encoding="utf-8")
    for line in told(report):
        typer.echo(line)


def _try_task(asked: PlantedRun, task: PlantedTask) -> Planted:
    shipped = SHIPPED[task][: asked.networks]
    specialists = SPECIALISTS[task][: asked.networks - len(shipped)]
    networks = prepare(shipped, specialists, asked.work, tell=_progress)
    contenders = [Contender(as_method(network), network.card.facts.flops_per_pixel) for network in networks]
    trial = Trial(networks[0].card.task, contenders, asked.seed, asked.side_px)
    records = []
    for number, domain in enumerate(DOMAINS[task][: asked.domains]):
        _progress(f"{task}: {domain.name} ({len(networks)} networks)")
        records.append(try_domain(trial, domain, number))
    return Planted(
        task=task,
        networks=len(networks),
        threads=torch.get_num_threads(),
        seed=asked.seed,
        side_px=asked.side_px,
        domains=tuple(records),
        summaries=summarise(records),
    )


def told(report: PlantedReport) -> Iterator[str]:
    """Tell a report, line by line: misses as well as hits."""
    for planted in report.tasks:
        yield (
            f"{planted.task}: {planted.networks} networks, {len(planted.domains)} planted instruments,"
            f" fields of {planted.side_px} px, {planted.threads} threads"
        )
        for record in planted.domains:
            places, unit = record.metric.decimals, record.metric.unit
            best = record.standings[0]
            look = "" if record.look is None else f" (asked for as {record.look})"
            yield (
                f"  {record.domain}{look}: best is {best.network} ({best.truth:.{places}f} {unit}".rstrip()
                + ")"
            )
            for each in record.decisions:
                lost = f"lost {each.regret:.{places}f} {unit}".rstrip() + ("" if each.told_apart else " (~)")
                outcome = "best" if each.winner == each.best else lost
                tied = f", tied with {len(each.tied)}" if each.tied else ""
                yield (
                    f"    {each.images} images by {each.by:19} {each.winner:34} {outcome:18}"
                    f" Spearman {each.spearman:5.2f} {each.seconds:6.1f} s{tied}"
                )
        for summary in planted.summaries:
            yield _summary_line(summary)
    for words, met in report.bars.items():
        yield f"{'met   ' if met else 'MISSED'} {words}"


def _summary_line(summary: Summary) -> str:
    return (
        f"  by {summary.by:19} true best {summary.best_share:4.0%}"
        f" (or not told from it {summary.indistinct_share:4.0%}, or as good {summary.near_share:4.0%}),"
        f" regret median {summary.median_regret:.3f} worst {summary.worst_regret:.3f},"
        f" Spearman median {summary.median_spearman:.2f} least {summary.least_spearman:.2f},"
        f" at most {summary.slowest_s:.1f} s"
    )


def _progress(words: str) -> None:
    typer.echo(words, err=True)
