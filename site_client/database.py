"""The site's durable memory: one SQLite file that survives a power cut.

`synchronous=FULL` because WAL with NORMAL lost acknowledged rows in every simulated power cut.
"""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_SCHEMA = """
CREATE TABLE IF NOT EXISTS frames (
    id INTEGER PRIMARY KEY,
    sequence INTEGER UNIQUE,
    path TEXT NOT NULL,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    sha256 TEXT,
    field TEXT,
    pixel_size_nm REAL,
    pixels INTEGER NOT NULL DEFAULT 0,
    planes INTEGER NOT NULL DEFAULT 1,
    colour INTEGER NOT NULL DEFAULT 0,
    acquisition TEXT,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'reconstructed', 'set_aside', 'skipped')),
    reason TEXT,
    deaths INTEGER NOT NULL DEFAULT 0,
    method TEXT,
    release_id TEXT,
    result TEXT,
    busy_s REAL NOT NULL DEFAULT 0,
    arrived_at REAL NOT NULL,
    finished_at REAL
);
CREATE INDEX IF NOT EXISTS frames_by_path ON frames (path);
CREATE INDEX IF NOT EXISTS frames_by_sha256 ON frames (sha256);
CREATE INDEX IF NOT EXISTS frames_waiting ON frames (state, sequence);
CREATE TABLE IF NOT EXISTS outbox (
    id INTEGER PRIMARY KEY,
    purpose TEXT NOT NULL,
    sequence INTEGER NOT NULL REFERENCES frames (sequence),
    state TEXT NOT NULL CHECK (state IN ('queued', 'delivered', 'refused', 'lost')),
    location TEXT,
    sent_sha256 TEXT,
    sent_bytes INTEGER,
    policy TEXT,
    reason TEXT,
    not_before REAL NOT NULL DEFAULT 0,
    queued_at REAL NOT NULL,
    delivered_at REAL,
    UNIQUE (purpose, sequence)
);
CREATE TABLE IF NOT EXISTS objects (
    frame_id INTEGER NOT NULL REFERENCES frames (id),
    class TEXT NOT NULL,
    count INTEGER NOT NULL,
    area_fraction REAL NOT NULL,
    diameter_nm REAL,
    diameter_px REAL,
    UNIQUE (frame_id, class)
);
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS releases (
    id INTEGER PRIMARY KEY,
    release_id TEXT NOT NULL,
    method TEXT NOT NULL,
    reasons TEXT NOT NULL,
    installed_at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY,
    at REAL NOT NULL,
    kind TEXT NOT NULL,
    text TEXT NOT NULL
);
"""


class Database:
    """One connection, shared by the daemon's threads under a lock.

    Parameters
    ----------
    path
        The SQLite file; made if absent, unless `read_only`.
    read_only
        For `site status`, which looks at a running daemon's memory from another process.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self._lock = threading.RLock()
        self.folder = path.resolve().parent
        mode = "ro" if read_only else "rwc"
        self._connection = sqlite3.connect(
            f"{path.resolve().as_uri()}?mode={mode}",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            timeout=10,
        )
        self._connection.row_factory = sqlite3.Row
        if not read_only:
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=FULL")
            # At once, so that whoever looks from another process sees all tables or none.
            self._connection.executescript(f"BEGIN IMMEDIATE;{_SCHEMA}COMMIT;")

    @property
    def is_made(self) -> bool:
        """Whether its tables are there: a daemon that has just begun has made the file first."""
        return self.row("SELECT 1 FROM sqlite_master WHERE name = 'events'") is not None

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Run the block as one durable transaction: all of it, or none."""
        with self._lock:
            if self._connection.in_transaction:
                yield self._connection
                return
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def rows(self, sql: str, arguments: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """Fetch every row of a query."""
        with self._lock:
            return self._connection.execute(sql, arguments).fetchall()

    def row(self, sql: str, arguments: Sequence[Any] = ()) -> sqlite3.Row | None:
        """Fetch the first row of a query, if any."""
        with self._lock:
            found: sqlite3.Row | None = self._connection.execute(sql, arguments).fetchone()
            return found

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._connection.close()
