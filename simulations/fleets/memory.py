"""How much memory a process and its descendants hold, as Linux tells it."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from simulations.processes import family, usage

_LOOK_S = 0.5
_MIB = 1 << 20


@dataclass(slots=True)
class Peak:
    """Largest resident memory seen, in MiB: of the process itself, and of it with all its descendants.

    Pages that several of them share count for each.
    """

    own_mib: float = 0.0
    all_mib: float = 0.0


@contextmanager
def watched() -> Iterator[Peak]:
    """Look at this process's memory twice a second for as long as the block lasts."""
    peak, ended = Peak(), threading.Event()

    def look() -> None:
        while True:
            own, every = resident_mib(os.getpid())
            peak.own_mib, peak.all_mib = max(peak.own_mib, own), max(peak.all_mib, every)
            if ended.wait(_LOOK_S):
                return

    thread = threading.Thread(target=look, name="memory", daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()


def resident_mib(process: int) -> tuple[float, float]:
    """Resident memory of a process, and of it with all its descendants, in MiB."""
    held = [usage(each).rss_bytes / _MIB for each in family(process)]
    return held[0], sum(held)
