"""Everything that a site remembers, over one database."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from model_library.wire.compute import ComputeFacts
from site_client.backlog import Backlog, measure_backlog
from site_client.compute import read_compute
from site_client.control import Controls
from site_client.database import Database
from site_client.errors import EnrolmentError
from site_client.journal import Journal
from site_client.ledger import Ledger
from site_client.objects import Objects
from site_client.outbox import Outbox
from site_client.settings import read_settings

LEDGER_FILE = "ledger.sqlite"


class Memory:
    """Frames, what was found in them, images to be sent, everything else; each part durable on its own.

    Parameters
    ----------
    database
        Closed by whoever opened it.
    clock
        Seconds since the epoch, for events.
    """

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self.ledger = Ledger(database)
        self.journal = Journal(database, clock)
        self.outbox = Outbox(database)
        self.objects = Objects(database)
        self.controls = Controls(self.journal, clock)
        self.database = database
        self._folder = database.folder

    def backlog(self) -> Backlog:
        """Tell what waits, and the rates now."""
        return measure_backlog(self.database)

    def compute(self) -> ComputeFacts | None:
        """Recall what `site calibrate` measured of this computer; None where it never ran."""
        return read_compute(self._folder)


@contextmanager
def shared_memory(folder: Path) -> Iterator[Memory]:
    """Open what a site remembers, to change it, whether its daemon runs or not.

    Raises
    ------
    SettingsError
        The folder is not that of a site.
    """
    read_settings(folder)
    database = Database(folder / LEDGER_FILE)
    try:
        yield Memory(database)
    finally:
        database.close()


@contextmanager
def seen_memory(folder: Path) -> Iterator[Memory]:
    """Open what a site remembers, to look at it, whether its daemon runs or not.

    Raises
    ------
    EnrolmentError
        Its daemon never ran, or is only just starting.
    """
    never = EnrolmentError(
        f"expected a ledger in {folder}, found none: the daemon never ran; start `synoptic site run`"
    )
    if not (folder / LEDGER_FILE).exists():
        raise never
    database = Database(folder / LEDGER_FILE, read_only=True)
    try:
        if not database.is_made:
            raise never
        yield Memory(database)
    finally:
        database.close()
