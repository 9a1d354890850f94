"""A served coordinator's memory, written into beside it: what stands in the place of campaigns."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from benchmark.splits import Split
from coordinator.findings import latest_campaign
from coordinator.records import Stage
from coordinator.services import open_place
from coordinator.settings import read_settings
from coordinator.store.database import Database
from coordinator.store.tables import FieldRow
from coordinator.workplace import Workplace


class CoordinatorMemory(NamedTuple):
    """The repositories, and the database under them."""

    place: Workplace
    database: Database

    def end_campaign(self, instrument_id: str) -> None:
        """Take an instrument's campaign for gone through: nothing is asked of it, nothing computed for it."""
        campaign = latest_campaign(self.place, instrument_id)
        self.place.campaigns.enter(campaign.id, Stage.MONITORING)

    def hold_for_tuning(self, instrument_id: str, fields: Iterable[str]) -> None:
        """Keep fields of view, as `field_key` names them, for training alone; nothing is judged here."""
        with self.database.write() as session:
            for field in fields:
                session.merge(FieldRow(instrument_id=instrument_id, field=field, split=Split.TUNING.value))


@contextmanager
def memory_of(data: Path) -> Iterator[CoordinatorMemory]:
    """Open the memory of the coordinator in a folder."""
    settings = read_settings(data)
    database = Database(settings.database)
    try:
        yield CoordinatorMemory(open_place(settings, database, time.time), database)
    finally:
        database.close()
