"""How much memory a process and its descendants hold, as Linux tells it."""

import os
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_LOOK_S = 0.5
_PAGE_MIB = os.sysconf("SC_PAGE_SIZE") / 2**20


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
    children: dict[int, list[int]] = defaultdict(list)
    pages: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            pages[int(folder.name)] = int((folder / "statm").read_text().split()[1])
        except (OSError, IndexError):
            # It has ended since.
            continue
        children[parent].append(int(folder.name))
    found, waiting = 0, [process]
    while waiting:
        each = waiting.pop()
        found += pages.get(each, 0)
        waiting.extend(children[each])
    return pages.get(process, 0) * _PAGE_MIB, found * _PAGE_MIB
