"""The command `python -m benchmark.gate_error`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from benchmark.gate_error.candidates import (
    CASES,
    CONTENT_DB,
    FIELDS,
    drawn,
    retrained,
    sharpened,
    sharpens,
    smooths_and_sharpens,
)
from model_library.wire.base import Message

_SITES, _PER_SITE, _INTERACTION_DB = 4, 4, 0.25


class GateRow(Message):
    """One planted candidate.

    Attributes
    ----------
    scores
        Where its scores come from.
    looks
        At the same fields, with another candidate of the kind each.
    promoted
        Seeds in which any of the looks promoted one.
    bar
        Most seeds (least, for a real improvement) that the design allows.
    """

    candidate: str
    scores: str
    seeds: int
    looks: int
    promoted: int
    bar: str
    holds: bool


def rows(seeds: int, looks: int, trainings: int, steps: int) -> list[GateRow]:
    """Put every planted candidate before the gate."""
    told = f"drawn: {CONTENT_DB:g} dB between fields, {_INTERACTION_DB:g} dB between networks (t5)"
    one = {"here": 0.0}
    equal = drawn(one, seeds=seeds, looks=looks, per_site=FIELDS, interaction_db=_INTERACTION_DB)
    found = [_row("re-training of equal quality", told, (seeds, looks), equal, 0.05)]
    if trainings:
        from benchmark.retrained import retrainings

        real = retrainings(trainings, fields=40, steps=steps, seed=100)
        count = retrained(real.scores, seeds=seeds, looks=min(looks, trainings - 1))
        told_real = (
            f"{trainings} real trainings of {steps} steps, means made equal, {real.interaction_db:.2f} dB"
        )
        found.append(
            _row("re-training of equal quality", told_real, (seeds, min(looks, trainings - 1)), count, 0.05)
        )
    images = f"real methods on {CASES} simulated images, without truth"
    for name, restore in (("sharpens noise", sharpens), ("smooths, then sharpens", smooths_and_sharpens)):
        for trusting in (False, True):
            count = sharpened(restore, seeds=seeds, trusting=trusting)
            with_ = "scores alone" if trusting else "scores and trust checks"
            found.append(_row(f"{name} ({with_})", images, (seeds, 1), count, 0.0))
    for loss in (-0.3, -1.0):
        gains = dict.fromkeys((f"site {n}" for n in range(1, _SITES)), 0.8) | {"site 0": loss}
        count = drawn(gains, seeds=seeds, looks=looks, per_site=_PER_SITE, interaction_db=_INTERACTION_DB)
        found.append(_row(f"+0.8 dB at three sites, {loss:+.1f} dB at one", told, (seeds, looks), count, 0.0))
    better = {"here": 0.5}
    count = drawn(better, seeds=seeds, looks=1, per_site=FIELDS, interaction_db=_INTERACTION_DB)
    real_gain = _row("+0.5 dB everywhere, first look", told, (seeds, 1), count, 0.0)
    bar = {"bar": "at least 90 %, for comparison", "holds": count >= 0.9 * seeds}
    everywhere = dict.fromkeys((f"site {n}" for n in range(_SITES)), 0.5)
    count = drawn(everywhere, seeds=seeds, looks=1, per_site=_PER_SITE, interaction_db=_INTERACTION_DB)
    sites_gain = _row("+0.5 dB at every one of four sites, first look", told, (seeds, 1), count, 0.0)
    told_only = {"bar": "at least 70 %, for comparison", "holds": count >= 0.7 * seeds}
    return [*found, real_gain.model_copy(update=bar), sites_gain.model_copy(update=told_only)]


def _row(candidate: str, scores: str, size: tuple[int, int], promoted: int, most: float) -> GateRow:
    seeds, looks = size
    return GateRow(
        candidate=candidate,
        scores=scores,
        seeds=seeds,
        looks=looks,
        promoted=promoted,
        bar=f"at most {most * 100:g} of 100" if most else "never",
        holds=promoted <= most * seeds,
    )


def main(
    seeds: Annotated[int, typer.Option(min=1, help="Instruments, for every row.")] = 100,
    looks: Annotated[int, typer.Option(min=1, help="Candidates of a kind at the same fields.")] = 10,
    trainings: Annotated[int, typer.Option(min=0, help="Train so many small networks as well; 0: none.")] = 0,
    steps: Annotated[int, typer.Option(min=1, help="Of each training.")] = 150,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write every figure to this file.")] = None,
) -> None:
    """Measure how often candidates of known worth are promoted; exit code 1 if a bar is missed."""
    found = rows(seeds, looks, trainings, steps)
    for row in found:
        typer.echo(
            f"{row.candidate:46} promoted in {row.promoted:3} of {row.seeds} ({row.looks} looks; {row.bar})"
            f" {'ok' if row.holds else 'MISSED'}  {row.scores}"
        )
    if json_file is not None:
        content = {"rows": [row.model_dump(mode="json") for row in found]}
        json_file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    if not all(row.holds for row in found):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
