"""When something may happen: hours of the day, on some days of the week, by this computer's clock."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SPAN = re.compile(r"(?:(?P<days>[a-z,-]+)\s+)?(?P<begin>\d\d?:\d\d)\s*-\s*(?P<end>\d\d?:\d\d)")


@dataclass(frozen=True, slots=True)
class Span:
    """From `begin` to `end` (the next day, where that is not later), beginning on some days (0 is Monday)."""

    days: frozenset[int]
    begin: time
    end: time

    def holds(self, now: datetime) -> bool:
        """Whether a moment lies in it."""
        past_midnight = self.end <= self.begin
        if not past_midnight:
            return now.weekday() in self.days and self.begin <= now.time() < self.end
        today = now.weekday() in self.days and now.time() >= self.begin
        yesterday = (now - timedelta(days=1)).weekday() in self.days and now.time() < self.end
        return today or yesterday


def parse_span(text: str) -> Span:
    """Read a span as the settings write it.

    Parameters
    ----------
    text
        `20:00-06:00`, `sat,sun 00:00-24:00` or `mon-fri 12:00-13:00`.

    Raises
    ------
    ValueError
        It is none.
    """
    found = _SPAN.fullmatch(text.strip().lower())
    if found is None:
        raise ValueError(f"expected hours such as '20:00-06:00' or 'sat,sun 00:00-24:00', found {text!r}")
    return Span(
        _days(found["days"] or "mon-sun", text), _time(found["begin"], text), _time(found["end"], text)
    )


def is_open(spans: Sequence[str], now: datetime) -> bool:
    """Whether now is within any of the spans; without any, always."""
    return not spans or any(parse_span(text).holds(now) for text in spans)


def _days(text: str, whole: str) -> frozenset[int]:
    days: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        if first not in _DAYS or (last or first) not in _DAYS:
            raise ValueError(f"expected days among {', '.join(_DAYS)}, found {part!r} in {whole!r}")
        begin, end = _DAYS.index(first), _DAYS.index(last or first)
        days |= {day % 7 for day in range(begin, end + 1 if end >= begin else end + 8)}
    return frozenset(days)


def _time(text: str, whole: str) -> time:
    hours, minutes = (int(part) for part in text.split(":"))
    if (hours, minutes) == (24, 0):
        return time(0, 0)
    if hours > 23 or minutes > 59:
        raise ValueError(f"expected a time of the day, found {text!r} in {whole!r}")
    return time(hours, minutes)
