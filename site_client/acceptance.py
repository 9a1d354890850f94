"""Whether a whole file is a new frame, one that the ledger has already, or one that was rewritten."""

import sqlite3
from collections.abc import Callable
from typing import Literal

from site_client.frames import CHANGED, MISSING, FrameState, Header, Stamp

LATEST = "SELECT * FROM frames WHERE path = ? ORDER BY id DESC LIMIT 1"
"""The row of a file: of the last frame under its path."""


def accepted(
    connection: sqlite3.Connection,
    path: str,
    stamp: Stamp,
    header: Header,
    *,
    now: float,
    exists: Callable[[str], bool],
) -> int | None:
    """Take a whole file as a frame, within a transaction; see `Ledger.accept`."""
    latest = latest_of(connection, path)
    if latest is not None and latest["sequence"] is not None:
        taken = _take_again(connection, latest, stamp, header)
        if taken != "new":
            return taken
        latest = None
    elif _renamed(connection, path, stamp, header, exists):
        return None
    sequence = 1 + _last_sequence(connection)
    if latest is None:
        latest_id = connection.execute(
            "INSERT INTO frames (path, size, mtime_ns, state, arrived_at) VALUES (?, ?, ?, 'waiting', ?)",
            (path, stamp.size, stamp.mtime_ns, now),
        ).lastrowid
    else:
        latest_id = latest["id"]
    _fill(connection, latest_id, stamp, header)
    connection.execute("UPDATE frames SET sequence = ? WHERE id = ?", (sequence, latest_id))
    _note_backlog(connection)
    return sequence


def latest_of(connection: sqlite3.Connection, path: str) -> sqlite3.Row | None:
    """Find the row of a file."""
    found: sqlite3.Row | None = connection.execute(LATEST, (path,)).fetchone()
    return found


def _last_sequence(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT ifnull(max(sequence), 0) FROM frames").fetchone()[0])


def _take_again(
    connection: sqlite3.Connection, latest: sqlite3.Row, stamp: Stamp, header: Header
) -> int | Literal["new"] | None:
    """Decide about an accepted frame's file that changed: same frame, same frame rewritten, or a new one."""
    if latest["sha256"] == header.sha256:
        back = latest["state"] == FrameState.SET_ASIDE and (latest["reason"] or "").startswith(MISSING)
        connection.execute(
            "UPDATE frames SET size = ?, mtime_ns = ? WHERE id = ?",
            (stamp.size, stamp.mtime_ns, latest["id"]),
        )
        if back:
            connection.execute(
                "UPDATE frames SET state = 'waiting', reason = NULL WHERE id = ?", (latest["id"],)
            )
            _note_backlog(connection)
        return int(latest["sequence"]) if back else None
    sent = connection.execute("SELECT 1 FROM outbox WHERE sequence = ?", (latest["sequence"],)).fetchone()
    rewritten = latest["state"] == FrameState.WAITING or (latest["reason"] or "").startswith(CHANGED)
    if rewritten and sent is None:
        # Instruments close a file and open it again to add metadata: still the same acquisition.
        _fill(connection, latest["id"], stamp, header)
        return int(latest["sequence"])
    return "new"


def _renamed(
    connection: sqlite3.Connection, path: str, stamp: Stamp, header: Header, exists: Callable[[str], bool]
) -> bool:
    # A rename keeps the mtime; a second, equal acquisition (a blank frame) does not.
    rows = connection.execute(
        "SELECT id, path FROM frames WHERE sequence IS NOT NULL AND sha256 = ? AND size = ? AND mtime_ns = ?",
        (header.sha256, stamp.size, stamp.mtime_ns),
    ).fetchall()
    for row in rows:
        if not exists(row["path"]):
            connection.execute("UPDATE frames SET path = ? WHERE id = ?", (path, row["id"]))
            return True
    return False


def _fill(connection: sqlite3.Connection, frame_id: int | None, stamp: Stamp, header: Header) -> None:
    connection.execute(
        "UPDATE frames SET size = ?, mtime_ns = ?, sha256 = ?, field = ?, pixel_size_nm = ?, pixels = ?,"
        " planes = ?, colour = ?, acquisition = ?, state = 'waiting', reason = NULL, deaths = 0 WHERE id = ?",
        (
            stamp.size,
            stamp.mtime_ns,
            header.sha256,
            header.field,
            header.pixel_size_nm,
            header.pixels,
            header.planes,
            header.colour,
            None if header.acquisition is None else header.acquisition.model_dump_json(exclude_none=True),
            frame_id,
        ),
    )


def _note_backlog(connection: sqlite3.Connection) -> None:
    connection.execute(
        "INSERT INTO counters (name, value)"
        " SELECT 'backlog_max', count(*) FROM frames WHERE state = 'waiting'"
        " ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value)"
    )
