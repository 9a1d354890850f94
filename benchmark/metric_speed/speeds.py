"""CPU time of our metrics beside that of other libraries: all in turn, in one process, on one thread."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from statistics import median

import numpy as np

from benchmark import metrics
from benchmark.baselines.total_variation import total_variation
from benchmark.metric_speed import references as peer
from benchmark.metric_speed.scene import Scene, scene
from benchmark.metrics.pointwise import Pixels
from benchmark.metrics.resolution import ring_correlation
from model_library.wire.base import Message

_WARM_UP_PX = 256

Run = Callable[[], object]


@dataclass(frozen=True)
class Entrant:
    """A library's way to a figure: prepared on a scene, then called again and again.

    Attributes
    ----------
    prepare
        Scene -> what is timed, conversions of the input left out.
    at_least
        How many times our time it is expected to take; None where nothing is expected.
    missing
        Why it cannot run.
    """

    name: str
    prepare: Callable[[Scene], Run]
    at_least: float | None = None
    missing: str | None = None


@dataclass(frozen=True)
class Contest:
    """One figure, our way to it and those of others; `side_px` of the square image."""

    metric: str
    own: Callable[[Scene], Run]
    peers: tuple[Entrant, ...]
    side_px: int


class PeerSpeed(Message):
    """A peer's median, and how many times ours that is; `meets` tells of the bar `at_least`."""

    name: str
    milliseconds: float | None = None
    ratio: float | None = None
    at_least: float | None = None
    meets: bool | None = None
    absent: str | None = None


class SpeedRow(Message):
    """Medians of CPU time on one thread, in milliseconds."""

    metric: str
    side_px: int
    milliseconds: float
    peers: tuple[PeerSpeed, ...]


def contests(side_px: int) -> tuple[Contest, ...]:
    """List what is timed; total variation on images of half the side."""
    torch_missing, monai_missing = peer.TORCHMETRICS.missing, peer.MONAI.missing
    return (
        Contest(
            "ssim",
            lambda drawn: lambda: metrics.ssim(drawn.image, drawn.truth, drawn.data_range),
            (
                Entrant("scikit-image", _skimage_ssim, 1.0),
                Entrant("monai (float32)", peer.monai_ssim, None, monai_missing),
                Entrant("torchmetrics (float32, other border)", peer.torch_ssim, None, torch_missing),
            ),
            side_px,
        ),
        Contest(
            "ring correlation",
            lambda drawn: lambda: ring_correlation(drawn.first, drawn.second),
            (Entrant("plain complex128", _plain_frc, 6.0),),
            side_px,
        ),
        Contest(
            "ap50",
            lambda drawn: lambda: metrics.average_precision(drawn.found, drawn.objects),
            (Entrant("scikit-image's table", _skimage_table, 5.0),),
            side_px,
        ),
        Contest(
            "panoptic quality",
            lambda drawn: lambda: metrics.panoptic_quality(drawn.found, drawn.objects),
            (
                Entrant("scikit-image's table", _skimage_table, 5.0),
                Entrant("torchmetrics", peer.torch_panoptic, 500.0, torch_missing),
            ),
            side_px,
        ),
        Contest("dice", _own_dice, (Entrant("torchmetrics", peer.torch_dice, 50.0, torch_missing),), side_px),
        Contest(
            "total variation",
            lambda drawn: lambda: total_variation(_grey(drawn), 0.1),
            (Entrant("scikit-image", _skimage_tv, 1.0),),
            side_px // 2,
        ),
    )


def measure(
    contest: Contest,
    *,
    rounds: int,
    seed: int,
    tell: Callable[[str], None],
    clock: Callable[[], float] = time.process_time,
) -> SpeedRow:
    """Time everybody once per round, in turn, after a warm-up on a small image."""
    able = {entrant.name: entrant for entrant in contest.peers if entrant.missing is None}
    small, drawn = scene(_WARM_UP_PX, seed), scene(contest.side_px, seed)
    for entrant in able.values():
        entrant.prepare(small)()
    own = contest.own(drawn)
    own()
    runs: Mapping[str, Run] = {"": own, **{name: entrant.prepare(drawn) for name, entrant in able.items()}}
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds):
        tell(f"{contest.metric}: round {number + 1} of {rounds}")
        for name, run in runs.items():
            begun = clock()
            run()
            seconds[name].append(clock() - begun)
    ours = median(seconds[""])
    return SpeedRow(
        metric=contest.metric,
        side_px=contest.side_px,
        milliseconds=1000 * ours,
        peers=tuple(_held_against(entrant, seconds, ours) for entrant in contest.peers),
    )


def _held_against(entrant: Entrant, seconds: Mapping[str, list[float]], ours: float) -> PeerSpeed:
    if entrant.missing is not None:
        return PeerSpeed(name=entrant.name, at_least=entrant.at_least, absent=entrant.missing)
    theirs = median(seconds[entrant.name])
    ratio = theirs / ours if ours > 0 else float("inf")
    return PeerSpeed(
        name=entrant.name,
        milliseconds=1000 * theirs,
        ratio=ratio,
        at_least=entrant.at_least,
        meets=ratio >= entrant.at_least if entrant.at_least is not None else None,
    )


def shortfalls(rows: tuple[SpeedRow, ...]) -> Iterator[str]:
    """Tell the bars that were missed."""
    for row in rows:
        for each in row.peers:
            if each.meets is False:
                taken = f"{each.ratio:.1f} times our time, not {each.at_least:g}"
                yield f"{row.metric}: {each.name} takes {taken}"


def _grey(drawn: Scene) -> Pixels:
    return np.asarray((drawn.image - drawn.image.min()) / drawn.data_range, dtype=np.float32)


def _own_dice(drawn: Scene) -> Run:
    found, truth = drawn.found > 0, drawn.objects > 0
    return lambda: metrics.dice(found, truth)


def _skimage_ssim(drawn: Scene) -> Run:
    return lambda: peer.ssim(drawn.image, drawn.truth, drawn.data_range)


def _plain_frc(drawn: Scene) -> Run:
    return lambda: peer.ring_correlation(drawn.first, drawn.second)


def _skimage_table(drawn: Scene) -> Run:
    return lambda: peer.contingency_table(drawn.found, drawn.objects)


def _skimage_tv(drawn: Scene) -> Run:
    from skimage.restoration import denoise_tv_chambolle

    pixels = _grey(drawn)
    return lambda: denoise_tv_chambolle(pixels, weight=0.1)  # type: ignore[no-untyped-call]
