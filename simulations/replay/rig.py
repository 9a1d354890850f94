"""A coordinator and one site, as real processes in a folder; the site's daemon can be killed and frozen."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from coordinator.publishing import release_assigned
from coordinator.store.values import Instrument, Release, ReleasePurpose
from coordinator.workplace import Workplace
from model_library.images.durable import write_durably
from model_library.processes.ports import free_port
from model_library.processes.supervisor import Started, Supervisor
from model_library.wire.methods import MethodRef
from simulations.coordinator_memory import memory_of
from simulations.fleet import HOSTS, awaited, coordinator_toml, start_coordinator, synoptic
from site_client.errors import EnrolmentError
from site_client.lock import running_daemon
from site_client.memory import Memory, seen_memory
from site_client.settings import FILE_NAME, write_settings
from site_client.settings import read_settings as read_site_settings

_UP_WITHIN_S = 120.0
_SITE = "replay"


class Rig:
    """Everything of one replay.

    Parameters
    ----------
    folder
        Of the run; empty or absent.
    supervisor
        Starts the processes, and ends them.
    every_n
        Each so many frames one is sent to the coordinator.
    library
        Networks of the coordinator; None for those that ship.
    """

    def __init__(
        self, folder: Path, supervisor: Supervisor, *, every_n: int = 50, library: Path | None = None
    ) -> None:
        self._supervisor = supervisor
        self._every_n, self._library = every_n, library
        self.coordinator = folder / "coordinator"
        self.site = folder / "site"
        self.acquisitions = folder / "acquisitions"
        self.results = folder / "results"
        self._releases = 0

    def found(self, **settings: object) -> None:
        """Found and serve the coordinator, enrol the site; `settings` are changes to the site's settings.

        Raises
        ------
        ProcessFailed
            A process ends in failure or does not come up.
        """
        port = free_port()
        library = {} if self._library is None else {"library": str(self._library)}
        text = coordinator_toml(
            "synoptic benchmark daemon",
            {"hosts": HOSTS, "port": port, "every_n": self._every_n, **library},
            federation={"automatic": False},
        )
        with closing(start_coordinator(self.coordinator, port, text, self._supervisor)) as operator:
            token = operator.enrolment_token()
        self.acquisitions.mkdir(parents=True, exist_ok=True)
        enrolment = (
            *("site", "enrol", f"https://127.0.0.1:{port}", token, "--folder", str(self.site)),
            *("--name", _SITE, "--acquisitions", str(self.acquisitions), "--results", str(self.results)),
        )
        self._supervisor.run("enrol", synoptic(*enrolment), 120)
        changed = read_site_settings(self.site).model_copy(update=settings)
        write_durably(self.site / FILE_NAME, write_settings(changed).encode())
        with memory_of(self.coordinator) as memory:
            # As long after its first release: images come back, and no campaign computes beside the replay.
            memory.end_campaign(self._instrument(memory.place).id)

    def release(self, method: MethodRef) -> str:
        """Publish a method for the instrument, signed and all; returns the release's id."""
        self._releases += 1
        with memory_of(self.coordinator) as memory:
            return self._released(memory.place, method).id

    def start_daemon(self) -> Started:
        """Start the daemon, and wait until it holds the folder and has opened its memory."""
        started = self._supervisor.start("daemon", synoptic("site", "run", "--folder", str(self.site)))

        def is_up() -> bool:
            return running_daemon(self.site) == started.process.pid and self._has_memory()

        self.until(is_up, _UP_WITHIN_S, "the daemon to run")
        return started

    @contextmanager
    def read(self) -> "Iterator[Reader]":
        """Look into the site's memory, whatever its daemon does."""
        with seen_memory(self.site) as memory:
            yield Reader(memory)

    def until(self, condition: Callable[[], object], seconds: float, what: str) -> None:
        """Await what the processes do.

        Raises
        ------
        ProcessFailed
            It does not come about in time, or a process ended in failure.
        """
        awaited(self._supervisor.check, condition, seconds, what)

    def _has_memory(self) -> bool:
        try:
            with self.read():
                return True
        except EnrolmentError:  # it is still to come
            return False

    def _released(self, place: Workplace, method: MethodRef) -> Release:
        return release_assigned(
            *(place, self._instrument(place), method, ("chosen for a replay",)),
            f"replay-{self._releases:06d}",
            ReleasePurpose.FINAL,
        )

    def _instrument(self, place: Workplace) -> Instrument:
        [instrument] = place.identities.all()
        return instrument


class Reader:
    """A site's memory, open for reading."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory

    def serves(self, release_id: str) -> bool:
        """Whether a release is in service."""
        service = self.memory.journal.in_service()
        return service is not None and service.release_id == release_id

    def rows(self) -> list[sqlite3.Row]:
        """Every row of the ledger's frames."""
        return self.memory.database.rows("SELECT * FROM frames ORDER BY id")
