"""`synoptic benchmark metrics`: what the command does once its words are parsed."""

from collections.abc import Callable
from pathlib import Path

import typer

from benchmark.metric_speed.speeds import SpeedRow, contests, measure, shortfalls
from benchmark.metric_speed.values import ValueRow, compare_values
from model_library.wire.base import Message

VALUES_SIDE_PX = 1024
"""Large enough for the compiled loops where numba is there."""


class MetricsReport(Message):
    """Values and speeds of one run.

    Attributes
    ----------
    disagreements
        Metrics whose value is not that of the reference.
    shortfalls
        Bars of speed that were missed, in words.
    """

    side_px: int
    rounds: int
    seed: int
    values: tuple[ValueRow, ...]
    speeds: tuple[SpeedRow, ...]
    disagreements: tuple[str, ...]
    shortfalls: tuple[str, ...]


def run_metrics(side_px: int, rounds: int, seed: int, *, tell: Callable[[str], None]) -> MetricsReport:
    """Compare values, then time everybody on one thread."""
    import torch

    tell("values")
    values = compare_values(VALUES_SIDE_PX, seed)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        speeds = tuple(
            measure(contest, rounds=rounds, seed=seed, tell=tell) for contest in contests(side_px) if rounds
        )
    finally:
        torch.set_num_threads(threads)
    return MetricsReport(
        side_px=side_px,
        rounds=rounds,
        seed=seed,
        values=values,
        speeds=speeds,
        disagreements=tuple(f"{row.metric} ({row.reference})" for row in values if row.agrees is False),
        shortfalls=tuple(shortfalls(speeds)),
    )


def echo(report: MetricsReport) -> None:
    """Print both tables."""
    typer.echo(f"{'metric':32} {'reference':22} {'ours':>14} {'theirs':>14} {'difference':>11}")
    for row in report.values:
        if row.absent is not None:
            typer.echo(f"{row.metric:32} {row.reference:22} {row.value:14.8f}  {row.absent}")
            continue
        mark = "agrees" if row.agrees else f"DIFFERS by more than {row.tolerance:g}"
        typer.echo(
            f"{row.metric:32} {row.reference:22} {row.value:14.8f} {row.reference_value:14.8f}"
            f" {row.difference:11.1e}  {mark}"
        )
    if report.speeds:
        typer.echo(f"\n{'CPU ms, one thread':20} {'side':>5} {'ours':>9}  peers")
    for speed in report.speeds:
        typer.echo(f"{speed.metric:20} {speed.side_px:5} {speed.milliseconds:9.2f}")
        for each in speed.peers:
            if each.absent is not None:
                typer.echo(f"{'':36}  {each.name:36} {each.absent}")
                continue
            bar = "" if each.at_least is None else f"  (bar {each.at_least:g}: {_met(each.meets)})"
            typer.echo(f"{'':36}  {each.name:36} {each.milliseconds:10.2f} {each.ratio:8.1f} x{bar}")


def _met(meets: bool | None) -> str:
    return "met" if meets else "missed"


def write(report: MetricsReport, json_file: Path) -> None:
    """Write every figure as JSON."""
    json_file.write_text(report.model_dump_json(indent=2) + "\n", encoding="utf-8")
