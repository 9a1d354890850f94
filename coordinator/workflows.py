"""The DBOS engine: embedded SQLite, quiet, without a network; recovery happens at launch."""

import sqlite3
from dataclasses import dataclass

from dbos import DBOS, DBOSPortableJSONSerializer

from coordinator.monitoring import QUEUE
from coordinator.settings import Settings

_VERSION = "stages-1"
"""Changes when the stages of a campaign do: DBOS resumes workflows of the same version only."""

_POLL_S = 0.25


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
        DBOS.register_queue(
            QUEUE, worker_concurrency=1, polling_interval_sec=_POLL_S, on_conflict="always_update"
        )

    def close(self) -> None:
        """Stop taking up work; what runs is resumed at the next launch."""
        DBOS.destroy()
