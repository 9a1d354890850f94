"""The DBOS engine: embedded SQLite, quiet, without a network; recovery happens at launch."""

import sqlite3
import time
from collections.abc import Collection
from dataclasses import dataclass

from dbos import DBOS, DBOSPortableJSONSerializer

from coordinator.monitoring import OBSERVING, QUEUE
from coordinator.settings import Settings

_VERSION = "stages-2"
"""Changes when the stages of a campaign do: DBOS resumes workflows of the same version only."""

_POLL_S = 0.25
_PATIENCE_S = 3.0
_LOOK_S = 0.02


@dataclass(frozen=True)
class Engine:
    """Runs workflows from `launch` to `close`."""

    settings: Settings

    def configure(self) -> None:
        """Prepare the engine; workflow objects are made between this and `launch`."""
        with sqlite3.connect(self.settings.workflows) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
        connection.close()
        DBOS(
            config={
                "name": "synoptic-coordinator",
                "system_database_url": f"sqlite:///{self.settings.workflows}",
                "application_version": _VERSION,
                "executor_id": "coordinator",
                "log_level": "ERROR",
                # JSON: what is read back from a database must not be able to run code.
                "serializer": DBOSPortableJSONSerializer(),
                "notification_listener_polling_interval_sec": _POLL_S,
            }
        )

    def launch(self) -> None:
        """Start working, with what was interrupted first."""
        DBOS.launch()
        for queue in (QUEUE, OBSERVING):
            DBOS.register_queue(
                queue, worker_concurrency=1, polling_interval_sec=_POLL_S, on_conflict="always_update"
            )

    def close(self, working: Collection[str]) -> None:
        """Stop taking up work; what runs is resumed at the next launch.

        A step that does not end in time keeps its engine until the process ends: without it, DBOS
        would put the step's loss of its database on record as the failure of the workflow.
        """
        deadline = time.monotonic() + _PATIENCE_S
        while working and time.monotonic() < deadline:
            time.sleep(_LOOK_S)
        if not working:
            DBOS.destroy()
