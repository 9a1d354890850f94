"""`synoptic benchmark speedup`: what the command does once its words are parsed."""

from dataclasses import dataclass
from pathlib import Path

import typer

from benchmark.errors import BenchmarkError
from benchmark.figures import line_plot
from benchmark.metrics import Metric
from benchmark.networks import as_method
from benchmark.speedup.curve import Crossing
from benchmark.speedup.measure import (
    FullAcquisition,
    Question,
    Speedup,
    folder_question,
    measure,
    simulated_question,
)
from model_library.signing.digests import sha256_file
from model_library.wire.tasks import Segment
from model_library.zoo.registry import Library

_REDUCTIONS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)


@dataclass(frozen=True)
class SpeedupRun:
    """What is asked.

    Attributes
    ----------
    images
        Folder of clean micrographs; None for simulated specimens.
    specimens
        Number of simulated ones.
    """

    network: str
    library: Path | None
    images: Path | None
    specimens: int
    full: FullAcquisition
    metric: Metric
    seed: int


def run_speedup(asked: SpeedupRun, json_file: Path | None, plot: Path | None) -> None:
    """Measure, print the curves and crossings, and write what was asked for.

    Raises
    ------
    BenchmarkError
        The network segments, saw one of the images, or there are too few of them.
    """
    library = Library(asked.library)
    card = library.card(asked.network)
    if isinstance(card.task, Segment):
        raise BenchmarkError(f"expected a network that restores images, found {card.id}, which segments them")
    if asked.images is not None:
        seen = {digest for data in card.training_data for digest in data.digests}
        known = [path.name for path in sorted(asked.images.glob("*")) if _digest(path) in seen]
        if known:
            raise BenchmarkError(
                f"expected images that the training of {card.id} did not see, found {', '.join(known[:5])};"
                " take them out of the folder"
            )
    method = as_method(library.load(asked.network))
    question = _question(asked)
    found = measure(method, card.id, question, lambda words: typer.echo(words, err=True))
    if json_file is not None:
        json_file.write_text(found.model_dump_json(indent=2) + "\n", encoding="utf-8")
    if plot is not None:
        plot.write_bytes(plot_of(found))
    _echo(found)


def _question(asked: SpeedupRun) -> Question:
    if asked.images is not None:
        return folder_question(asked.full, asked.metric, _REDUCTIONS, folder=asked.images, seed=asked.seed)
    return simulated_question(asked.full, asked.metric, _REDUCTIONS, images=asked.specimens, seed=asked.seed)


def plot_of(found: Speedup) -> bytes:
    """PNG of the curves, with the quality of the full acquisition as a level line."""
    reductions = [point.reduction for point in found.curves[0].points]
    series = [(curve.method, reductions, [point.value for point in curve.points]) for curve in found.curves]
    series.append(("full acquisition, unrestored", reductions, [found.full_value] * len(reductions)))
    crossing = found.curves[0].crossing
    return line_plot(
        series,
        x_label="times fewer electrons",
        y_label=found.metric.titled,
        marks=((f"{crossing.reduction:.1f} x", crossing.reduction),),
        points=True,
        log2_x=True,
    )


def _echo(found: Speedup) -> None:
    places = found.metric.decimals
    typer.echo(
        f"{found.network} on {found.specimens}; full acquisition {found.full.electrons_per_pixel:g} electrons"
        f" per pixel, read noise {found.full.read_electrons:g} electrons:"
        f" {found.metric} {found.full_value:.{places}f}"
    )
    for curve in found.curves:
        values = "  ".join(f"{point.reduction:g}x {point.value:.{places}f}" for point in curve.points)
        typer.echo(f"{curve.method:24} {values}")
    for curve in found.curves:
        typer.echo(f"{curve.method:24} {crossing_in_words(curve.crossing)}")


def crossing_in_words(crossing: Crossing) -> str:
    """Tell the crossing, its interval, and the fields whose crossing lies outside of the range."""
    low, high = crossing.ci95
    outside = [
        f"{count} {words}"
        for count, words in (
            (crossing.below_range, "worse at any reduction"),
            (crossing.above_range, "better at all of them"),
        )
        if count
    ]
    told = f" ({'; '.join(outside)})" if outside else ""
    return (
        f"as good as the full acquisition at {crossing.reduction:.1f} times fewer electrons"
        f" [{low:.1f}, {high:.1f}], {crossing.fields} fields{told}"
    )


def _digest(path: Path) -> str:
    return sha256_file(path) if path.is_file() else ""
