"""What passed the links and what the processes held, read at short intervals (Linux)."""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from simulations.deployed.link import Link
from simulations.periodic import periodically
from simulations.processes import families, usage

_LOOK_S = 0.25
_MIB = 1 << 20


@dataclass(slots=True)
class Gauge:
    """Readings of one run.

    Attributes
    ----------
    links
        By site; bytes so far are read from them.
    processes
        By name, the first process of each family whose memory is wanted.
    own_mib, all_mib
        Largest resident memory: of each family, and of all of them with this process. Pages that
        processes share count for each.
    """

    links: Mapping[str, Link]
    processes: dict[str, int]
    clock: Callable[[], float] = time.time
    own_mib: dict[str, float] = field(default_factory=dict)
    all_mib: float = 0.0
    _at: list[float] = field(default_factory=list)
    _bytes: dict[str, list[tuple[int, int]]] = field(default_factory=dict)

    def read(self) -> None:
        """Take one reading of everything."""
        self._at.append(self.clock())
        for site, link in self.links.items():
            self._bytes.setdefault(site, []).append((link.up, link.down))
        found = families((os.getpid(), *self.processes.values()))
        held = {pid: sum(usage(each).rss_bytes for each in members) / _MIB for pid, members in found.items()}
        for name, pid in self.processes.items():
            self.own_mib[name] = max(self.own_mib.get(name, 0.0), held[pid])
        # Whatever was started here descends from this process.
        self.all_mib = max(self.all_mib, held[os.getpid()])

    def passed(self, site: str, begin: float, end: float) -> tuple[int, int]:
        """Tell how many bytes a site sent and got between two times of the clock.

        Between two readings they count as spread evenly.
        """
        readings = np.asarray(self._bytes[site], np.float64)
        up, down = (np.interp((begin, end), self._at, readings[:, column]) for column in (0, 1))
        return round(up[1] - up[0]), round(down[1] - down[0])

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Read for as long as the block lasts."""
        self.read()
        try:
            with periodically(self.read, _LOOK_S):
                yield
        finally:
            self.read()
