"""A network for an instrument: not only the best, but one that keeps up with the acquisition."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from model_library.wire.base import Message

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HEADROOM = 1.25
"""A network keeps up if it is so many times as fast as the instrument acquires: frames come in bursts, and
the microscope's own software has the first claim on the computer."""


class OnFront(Message):
    """A network than which none is both better and faster."""

    key: str
    score: float
    mpix_per_s: float


class InstrumentFit(Message):
    """The choice for an instrument.

    Attributes
    ----------
    chosen
        The best network that keeps up with the rate with head-room, else the best one.
    rate_mpix_per_s
        Of the acquisition; None where it is not known, and then nothing has to keep up.
    headroom
        How many times faster than that a network has to be.
    mpix_per_s
        Network -> measured or predicted throughput; None where nothing was measured of its family.
    keeps_up
        Network -> whether; None where the rate or its throughput is not known.
    shortfall
        Share of the acquisition, with head-room, that the chosen one cannot serve; 0 if it keeps up, None
        if that is not known.
    front
        Fastest first.
    measured_on
        Where the throughputs come from, in words.
    """

    chosen: str
    rate_mpix_per_s: float | None = Field(default=None, gt=0)
    headroom: float = Field(default=HEADROOM, ge=1)
    mpix_per_s: dict[str, float | None]
    keeps_up: dict[str, bool | None]
    shortfall: float | None = Field(default=None, ge=0, le=1)
    front: tuple[OnFront, ...]
    measured_on: str
    reason: str


class Pace(Message):
    """What a network has to keep up with, and how fast each is.

    Attributes
    ----------
    mpix_per_s
        Network -> input megapixels per second; without it nothing is known of the network.
    measured_on
        In words: this computer, or the site's calibration.
    """

    rate_mpix_per_s: float | None = Field(default=None, gt=0)
    headroom: float = Field(default=HEADROOM, ge=1)
    mpix_per_s: dict[str, float | None] = Field(default_factory=dict)
    measured_on: str = "this computer"


def fit_to_instrument(
    ranking: Sequence[tuple[str, float]], preferred: str, pace: Pace, *, higher_is_better: bool = True
) -> InstrumentFit:
    """Choose the best network that keeps up with the instrument.

    Parameters
    ----------
    ranking
        (network, score), best first.
    preferred
        The one to take by quality and cost alone: it may be tied with the first.
    pace
        Rate and throughputs.
    """
    speeds = {key: pace.mpix_per_s.get(key) for key, _ in ranking}
    wanted = None if pace.rate_mpix_per_s is None else pace.headroom * pace.rate_mpix_per_s
    keeps = {
        key: None if wanted is None or speed is None else speed >= wanted for key, speed in speeds.items()
    }
    order = [preferred, *(key for key, _ in ranking if key != preferred)]
    able = [key for key in order if keeps[key]]
    chosen = able[0] if able else preferred
    return InstrumentFit(
        chosen=chosen,
        rate_mpix_per_s=pace.rate_mpix_per_s,
        headroom=pace.headroom,
        mpix_per_s=speeds,
        keeps_up=keeps,
        shortfall=_shortfall(speeds[chosen], wanted),
        front=front_of(
            [(key, score, speed) for key, score in ranking if (speed := speeds[key]) is not None],
            higher_is_better=higher_is_better,
        ),
        measured_on=pace.measured_on,
        reason=_reason(chosen, preferred, speeds, wanted, pace),
    )


def front_of(
    measured: Sequence[tuple[str, float, float]], *, higher_is_better: bool = True
) -> tuple[OnFront, ...]:
    """Keep the (network, score, throughput) to which none is preferable in both; fastest first."""
    sign = 1 if higher_is_better else -1
    front: list[OnFront] = []
    for key, score, speed in sorted(measured, key=lambda each: (-each[2], -sign * each[1], each[0])):
        if not front or sign * score > sign * front[-1].score:
            front.append(OnFront(key=key, score=score, mpix_per_s=speed))
    return tuple(front)


def draw_front(axes: "Axes", fit: InstrumentFit, scores: Mapping[str, float], label: str) -> "Axes":
    """Draw score against throughput, the front joined, the rate with head-room as a line; returns `axes`."""
    from matplotlib.ticker import LogLocator

    from benchmark.figures import ACCENT, INK, MARK, RIVAL, SOFT

    for key, speed in fit.mpix_per_s.items():
        if speed is None:
            continue
        ours = key == fit.chosen
        axes.plot(speed, scores[key], "o", color=ACCENT if ours else RIVAL, markersize=9 if ours else 6)
        axes.annotate(
            key,
            (speed, scores[key]),
            xytext=(6, 5),
            textcoords="offset points",
            fontsize=8,
            color=INK if ours else SOFT,
        )
    speeds, best = [each.mpix_per_s for each in fit.front], [each.score for each in fit.front]
    axes.plot(speeds, best, color=SOFT, linewidth=1.2, zorder=0)
    if fit.rate_mpix_per_s is not None:
        wanted = fit.headroom * fit.rate_mpix_per_s
        axes.axvline(
            wanted, color=MARK, linewidth=1, linestyle=(0, (4, 3)), label="acquisition, with head-room"
        )
        axes.legend(frameon=False, fontsize=8)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_minor_formatter("")
    axes.set_xlabel(f"megapixels per second ({fit.measured_on})")
    axes.set_ylabel(label)
    axes.grid(color="#e6eaee", linewidth=0.8)
    return axes


def _shortfall(speed: float | None, wanted: float | None) -> float | None:
    return None if speed is None or wanted is None else max(0.0, 1 - speed / wanted)


def _reason(
    chosen: str, preferred: str, speeds: Mapping[str, float | None], wanted: float | None, pace: Pace
) -> str:
    speed = speeds[chosen]
    if wanted is None:
        return "the acquisition rate is not known, so nothing has to keep up"
    need = f"{wanted:.3g} MPix/s ({pace.headroom:g} x {pace.rate_mpix_per_s:.3g})"
    if speed is None:
        return (
            f"whether it keeps up with {need} is not known: run `synoptic site calibrate` at the instrument"
        )
    if speed < wanted:
        return f"no network is known to keep up with {need}; it serves {speed / wanted:.0%} of that"
    if chosen == preferred:
        return f"it keeps up, at {speed:.3g} MPix/s for {need}"
    lost = speeds[preferred]
    slow = "is of unknown throughput" if lost is None else f"has {lost:.3g} MPix/s"
    return f"{chosen} is the best that keeps up with {need}, at {speed:.3g} MPix/s; {preferred} {slow}"
