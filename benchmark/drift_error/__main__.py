"""The command `python -m benchmark.drift_error`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from benchmark.drift_error.acquired import real_sources, simulated_sources
from benchmark.drift_error.rows import measure
from benchmark.drift_error.sources import FIRST, Source, drawn_sources
from benchmark.drift_policy import DriftPolicy, Feature
from model_library.specimens import SpecimenKind

_KINDS = (
    (SpecimenKind.CELLS, True),
    (SpecimenKind.PARTICLES, True),
    (SpecimenKind.PRECIPITATES, True),
    (SpecimenKind.DISLOCATIONS, True),
    (SpecimenKind.CRYO_EM, True),
    (SpecimenKind.CELLS, False),
    (SpecimenKind.PARTICLES, False),
)


app = typer.Typer(add_completion=False)


@app.command()
def main(
    campaigns: Annotated[int, typer.Option(min=1, help="Instruments watched, for every row.")] = 500,
    images: Annotated[int, typer.Option(min=2 * FIRST, help="Images of each kind, calm.")] = 81,
    threshold: Annotated[float, typer.Option(min=0.1, help="Limit of the sum.")] = DriftPolicy().threshold,
    data: Annotated[
        Path | None,
        typer.Option(
            envvar="SYNOPTIC_SHARED_DATA", exists=True, file_okay=False, help="Real micrographs as well."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Draws everything.")] = 0,
    only: Annotated[
        str, typer.Option(help="Only drawn, a kind of specimen, or a real series named so.")
    ] = "",
    json_file: Annotated[Path | None, typer.Option("--json", help="Write every figure to this file.")] = None,
) -> None:
    """Measure false alarms and delays of the drift test; one row per feature and scatter."""
    policy = DriftPolicy(threshold=threshold)
    rows = []
    for source in _sources(_Asked(images, seed, only), data, policy):
        row = measure(source, campaigns, seed, policy)
        rows.append(row)
        delay = "-" if row.delay is None else f"{row.delay:.1f}"
        typer.echo(
            f"{_named(row.features):11} {row.scatter:40} {row.change:15}"
            f" {row.false_alarms_per_10000:6.2f} false per 10,000  within 3: {row.within_3:6.1%}"
            f"  mean {delay} images  missed {row.missed:.1%}  noticeable {_told(row.noticeable)}"
        )
    if json_file is not None:
        content = {
            "policy": policy.model_dump(mode="json"),
            "campaigns": campaigns,
            "seed": seed,
            "rows": [row.model_dump(mode="json") for row in rows],
        }
        json_file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _named(features: tuple[Feature, ...]) -> str:
    return str(features[0]) if len(features) == 1 else "all"


def _told(change: float | None) -> str:
    return "-" if change is None else f"{change:.3g}"


class _Asked(NamedTuple):
    """Images of each kind, the seed, and what the names of the sources have to hold."""

    images: int
    seed: int
    only: str


def _sources(asked: _Asked, data: Path | None, policy: DriftPolicy) -> Iterator[Source]:
    if asked.only in "drawn":
        yield from drawn_sources(policy)
    for kind, one_specimen in _KINDS:
        if asked.only in kind:
            typer.echo(f"acquiring {kind}", err=True)
            seed = asked.seed + 100
            yield from simulated_sources(kind, asked.images, seed, policy, one_specimen=one_specimen)
    if data is not None:
        typer.echo("observing real series", err=True)
        yield from real_sources(data, asked.images, asked.seed, policy, only=asked.only)


if __name__ == "__main__":
    app()
