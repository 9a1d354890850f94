"""At what times federations begin by themselves."""

import re
import time
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

_WINDOW = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")
_DAY_MIN = 24 * 60


class Schedule(BaseModel):
    """When a federation may begin without being asked for.

    `window`: only within these hours of the server's local time, as `22:00-06:00`; None: at any time.
    `every_hours`: a cohort federates again so long after its last federation began, however few new
    frames there are; None: new frames alone decide.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    window: str | None = None
    every_hours: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _window_reads(self) -> Self:
        if self.window is not None and not _WINDOW.fullmatch(self.window):
            raise ValueError(f"expected a window such as 22:00-06:00, found {self.window!r}")
        return self

    def open_at(self, minute: int) -> bool:
        """Whether the window is open at a minute of the day; its end is not in it."""
        if self.window is None:
            return True
        found = _WINDOW.fullmatch(self.window)
        assert found is not None
        first, last = (60 * int(found[at]) + int(found[at + 1]) for at in (1, 3))
        # A window from 22 to 6 goes over midnight; one from 6 to 6 is never closed.
        return (minute - first) % _DAY_MIN < ((last - first) % _DAY_MIN or _DAY_MIN)

    def overdue(self, began: float | None, now: float) -> bool:
        """Whether so much time has passed since the last federation began that new frames do not matter."""
        return self.every_hours is not None and began is not None and now - began >= 3600 * self.every_hours


def minute_of_day(now: float) -> int:
    """Minutes since midnight, in the server's local time."""
    local = time.localtime(now)
    return 60 * local.tm_hour + local.tm_min
