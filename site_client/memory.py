"""Everything that a site remembers, over one database."""

import time
from collections.abc import Callable

from model_library.wire.compute import ComputeFacts
from site_client.backlog import Backlog, measure_backlog
from site_client.compute import read_compute
from site_client.control import Controls
from site_client.database import Database
from site_client.journal import Journal
from site_client.ledger import Ledger
from site_client.objects import Objects
from site_client.outbox import Outbox

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
        self._database = database
        self._folder = database.folder

    def backlog(self) -> Backlog:
        """Tell what waits, and the rates now."""
        return measure_backlog(self._database)

    def compute(self) -> ComputeFacts | None:
        """Recall what `site calibrate` measured of this computer; None where it never ran."""
        return read_compute(self._folder)
