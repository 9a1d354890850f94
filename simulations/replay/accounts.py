"""What became of the frames that a writer wrote: losses, latencies, and what the daemon costs the writer."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import Field

from benchmark.compare import mean_interval
from model_library.errors import ImageError
from model_library.images.readers import read_frame, read_provenance
from model_library.wire.base import Message
from simulations.replay.frames import Written


class Spread(Message):
    """Median and 95th percentile."""

    p50: float
    p95: float


class Losses(Message):
    """What must not happen.

    Attributes
    ----------
    lost
        Frames written of which there is no result that reads, or that no row of the ledger calls done.
    doubled
        Frames that were accepted twice, or of which there are two results.
    partial
        Files that were accepted before they were whole, and results that do not read.
    """

    lost: int = Field(ge=0)
    doubled: int = Field(ge=0)
    partial: int = Field(ge=0)

    @property
    def any(self) -> bool:
        """Whether anything of the kind happened."""
        return bool(self.lost or self.doubled or self.partial)


class SlowDown(Message):
    """How much longer something takes beside the daemon: the ratio less 1, over pairs of blocks."""

    ratio_less_one: float
    ci95: tuple[float, float]


class WriterCost(Message):
    """What the daemon costs the writer.

    Attributes
    ----------
    with_ms, without_ms
        Of single frames.
    of_median, of_mean
        Of the blocks' median and mean frame; the mean has the stutters in it, also those that other
        processes of the machine cause.
    """

    with_ms: Spread
    without_ms: Spread
    of_median: SlowDown
    of_mean: SlowDown
    pairs: int = Field(ge=2)


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the ledger; times in seconds since 1970, `busy_s` is the worker's for this frame."""

    sha256: str | None
    state: str
    arrived_at: float
    finished_at: float | None
    busy_s: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """A result file: of which frame it is, by its provenance; None where it does not read."""

    name: str
    sha256: str | None


def read_results(folder: Path) -> tuple[Outcome, ...]:
    """Read every result of a folder, pixels and provenance."""
    return tuple(_outcome(path) for path in sorted(folder.rglob("*.tif")) if not path.name.startswith("."))


def losses(written: Sequence[Written], entries: Sequence[Entry], results: Sequence[Outcome]) -> Losses:
    """Hold what was written against the ledger and the results."""
    expected = {frame.sha256 for frame in written}
    accepted = Counter(entry.sha256 for entry in entries if entry.sha256 is not None)
    done = {entry.sha256 for entry in entries if entry.state == "reconstructed"}
    made = Counter(result.sha256 for result in results if result.sha256 is not None)
    twice = {sha256 for counts in (accepted, made) for sha256, times in counts.items() if times > 1}
    return Losses(
        lost=len(expected - (done & made.keys())),
        doubled=len(twice),
        partial=len(accepted.keys() - expected) + sum(result.sha256 is None for result in results),
    )


def closed_to_read_ms(written: Sequence[Written], entries: Sequence[Entry]) -> Spread:
    """From a file's close to the moment at which it was read whole and is accepted."""
    taken = {entry.sha256: entry for entry in entries}
    return spread(1e3 * (taken[frame.sha256].arrived_at - frame.closed_at) for frame in written)


def closed_to_result_ms(written: Sequence[Written], entries: Sequence[Entry]) -> Spread:
    """From a file's close to its result, durable on disk, without the worker's own time for the frame."""
    taken = {entry.sha256: entry for entry in entries}
    return spread(
        1e3 * ((entry.finished_at or float("inf")) - frame.closed_at - entry.busy_s)
        for frame in written
        if (entry := taken[frame.sha256])
    )


def writer_cost(pairs: Sequence[tuple[Sequence[Written], Sequence[Written]]]) -> WriterCost:
    """Compare writes beside the daemon (first of each pair) with writes without it, paired over blocks."""
    times = [tuple([frame.write_ms for frame in block] for block in pair) for pair in pairs]
    return WriterCost(
        with_ms=spread(each for beside, _ in times for each in beside),
        without_ms=spread(each for _, alone in times for each in alone),
        of_median=_slow_down([(float(np.median(a)), float(np.median(b))) for a, b in times]),
        of_mean=_slow_down([(float(np.mean(a)), float(np.mean(b))) for a, b in times]),
        pairs=len(pairs),
    )


def _slow_down(pairs: Sequence[tuple[float, float]]) -> SlowDown:
    # Of logarithms: a block that takes twice as long outweighs one that takes half as long no more.
    ratios = np.log([beside / alone for beside, alone in pairs])
    low, high = mean_interval(ratios)
    return SlowDown(
        ratio_less_one=float(np.expm1(ratios.mean())), ci95=(float(np.expm1(low)), float(np.expm1(high)))
    )


def spread(values: Iterable[float]) -> Spread:
    """Summarise values, of which there is at least one."""
    low, high = np.quantile(list(values), [0.5, 0.95])
    return Spread(p50=float(low), p95=float(high))


def _outcome(path: Path) -> Outcome:
    try:
        read_frame(path)
        return Outcome(path.name, read_provenance(path)["source"]["sha256"])
    except (ImageError, KeyError):
        return Outcome(path.name, None)
