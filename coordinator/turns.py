"""Who computes next: a few heavy steps at a time, the most urgent first."""

import heapq
import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

_LOOK_S = 0.2
"""How soon a waiting step notices that the process ends."""


@dataclass(frozen=True)
class Turns:
    """Admits `seats` steps at a time: the lowest urgency number first, equal ones in order of arrival.

    A semaphore would admit whoever wakes first, so that one instrument's fine-tuning could hold up
    the first release of another.
    """

    seats: int = 1
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _waiting: list[tuple[int, int]] = field(default_factory=list)
    _computing: set[tuple[int, int]] = field(default_factory=set)
    _arrivals: "itertools.count[int]" = field(default_factory=itertools.count)

    @contextmanager
    def turn(self, urgency: int, check: Callable[[], None]) -> Iterator[None]:
        """Wait for the right to compute, and give it back.

        Parameters
        ----------
        urgency
            Lower is sooner.
        check
            Called while waiting; what it raises ends the wait.
        """
        ticket = (urgency, next(self._arrivals))
        self._wait(ticket, check)
        try:
            check()
            yield
        finally:
            with self._changed:
                self._computing.discard(ticket)
                self._changed.notify_all()

    def _wait(self, ticket: tuple[int, int], check: Callable[[], None]) -> None:
        with self._changed:
            heapq.heappush(self._waiting, ticket)
            try:
                while len(self._computing) >= self.seats or self._waiting[0] != ticket:
                    self._changed.wait(_LOOK_S)
                    check()
                self._computing.add(ticket)
            finally:
                self._waiting.remove(ticket)
                heapq.heapify(self._waiting)
                # The next one may have a seat too.
                self._changed.notify_all()
