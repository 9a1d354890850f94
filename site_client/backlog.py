"""Frames that wait: how fast they come, how fast they go, and when the last will be done."""

from pydantic import Field

from model_library.wire.base import Message
from site_client.database import Database

_LAST = 50
"""The last so many frames tell the rates now: an average since the first says nothing of today."""
_LONGEST_PAUSE_S = 3600.0
_HEADROOM = 1.05
_FRAMES_TO_COMPLAIN = 20


class Backlog(Message):
    """The shortfall of a site.

    Attributes
    ----------
    waiting, waiting_mpix
        Frames that wait, and their megapixels.
    acquisition_mpix_per_s, throughput_mpix_per_s
        Over the last frames; None before there are enough.
    """

    waiting: int = Field(ge=0)
    waiting_mpix: float = Field(ge=0)
    acquisition_mpix_per_s: float | None = Field(default=None, ge=0)
    throughput_mpix_per_s: float | None = Field(default=None, ge=0)

    @property
    def keeps_up(self) -> bool | None:
        """Whether frames go at least as fast as they come; None where that is not known yet."""
        if self.acquisition_mpix_per_s is None or self.throughput_mpix_per_s is None:
            return None
        return self.throughput_mpix_per_s >= self.acquisition_mpix_per_s

    @property
    def drained_in_s(self) -> float | None:
        """Seconds until nothing waits if acquisition ended now; None where the throughput is not known."""
        if self.waiting == 0:
            return 0.0
        return self.waiting_mpix / self.throughput_mpix_per_s if self.throughput_mpix_per_s else None

    @property
    def drained_while_acquiring_in_s(self) -> float | None:
        """Seconds until nothing waits if acquisition goes on as it does; None where that never comes."""
        if self.waiting == 0:
            return 0.0
        if self.acquisition_mpix_per_s is None or self.throughput_mpix_per_s is None:
            return None
        ahead = self.throughput_mpix_per_s - self.acquisition_mpix_per_s
        return self.waiting_mpix / ahead if ahead > 0 else None

    @property
    def wants_faster(self) -> bool:
        """Whether a faster method is needed: frames come faster than they go, and already pile up."""
        if self.acquisition_mpix_per_s is None or self.throughput_mpix_per_s is None:
            return False
        behind = self.acquisition_mpix_per_s > _HEADROOM * self.throughput_mpix_per_s
        return behind and self.waiting >= _FRAMES_TO_COMPLAIN

    def told(self) -> str:
        """Say it in a sentence."""
        if self.waiting == 0:
            return "nothing waits"
        text = f"{self.waiting} frames ({self.waiting_mpix:.1f} MPix) wait"
        soon, then = self.drained_while_acquiring_in_s, self.drained_in_s
        if soon is not None:
            return f"{text}, done in {_span(soon)} at this rate"
        if then is None:
            return text
        return f"{text} and acquisition is faster: done {_span(then)} after it ends"


def measure_backlog(database: Database) -> Backlog:
    """Tell what waits in a site's database, and the rates of the last frames."""
    waiting = database.row(
        "SELECT count(*) AS frames, ifnull(sum(pixels), 0) / 1e6 AS mpix FROM frames WHERE state = 'waiting'"
    )
    went = database.row(
        "SELECT sum(pixels) / 1e6 AS mpix, sum(busy_s) AS seconds FROM (SELECT pixels, busy_s FROM frames"
        " WHERE state = 'reconstructed' ORDER BY sequence DESC LIMIT ?)",
        (_LAST,),
    )
    assert waiting is not None
    assert went is not None
    return Backlog(
        waiting=waiting["frames"],
        waiting_mpix=waiting["mpix"],
        acquisition_mpix_per_s=acquisition_rate(database, _LAST),
        throughput_mpix_per_s=_rate(went["mpix"], went["seconds"]),
    )


def acquisition_rate(database: Database, last: int | None = None) -> float | None:
    """Tell the megapixels per second of the last frames while frames were coming; None before two.

    By the times of their files. A pause of more than an hour is none of acquisition, nor is a step of the
    clock backwards: both, and the frame that ends them, are left out.
    """
    came = database.row(
        "SELECT sum(pixels) / 1e6 AS mpix, sum(gap_s) AS seconds FROM (SELECT pixels,"
        " (mtime_ns - lag(mtime_ns) OVER (ORDER BY sequence)) / 1e9 AS gap_s FROM (SELECT * FROM frames"
        " WHERE sequence IS NOT NULL ORDER BY sequence DESC LIMIT ?)) WHERE gap_s BETWEEN 0 AND ?",
        (-1 if last is None else last, _LONGEST_PAUSE_S),
    )
    assert came is not None
    return _rate(came["mpix"], came["seconds"])


def _rate(mpix: float | None, seconds: float | None) -> float | None:
    return mpix / seconds if mpix is not None and seconds is not None and seconds > 0 else None


def _span(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
