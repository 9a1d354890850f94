"""The frames of a site: each accepted exactly once, none forgotten."""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Literal

from pydantic import TypeAdapter

from model_library.wire.images import AcquisitionFacts
from model_library.wire.methods import MethodRef
from model_library.wire.orders import FrameCounts
from site_client.database import Database

Order = Literal["in-order", "live", "every-k"]
"""Which waiting frame comes next: the oldest; the newest, and the older ones in their order when none has
come since; or the oldest of every k-th, and never the others."""

MISSING = "missing"
"""Reason of a frame whose file is gone; it waits again when the file comes back."""

CHANGED = "changed"
"""Reason of a frame whose file was rewritten before it was reconstructed."""

_METHOD: TypeAdapter[MethodRef] = TypeAdapter(MethodRef)


class FrameState(StrEnum):
    """Where a frame stands; a frame is always in exactly one state."""

    WAITING = "waiting"
    RECONSTRUCTED = "reconstructed"
    SET_ASIDE = "set_aside"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells that a file changed, without reading it: size in bytes, mtime in nanoseconds."""

    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Header:
    """What the inspector found in a whole, readable file; `pixels` is Y times X."""

    sha256: str
    pixels: int
    pixel_size_nm: float | None
    field: str | None
    acquisition: AcquisitionFacts | None = None


@dataclass(frozen=True, slots=True)
class LedgerFrame:
    """One file of the acquisition folder as the ledger knows it.

    `sequence` counts accepted frames from 1 and is None for a file that was never one. `path` is
    relative to the acquisition folder, `result` to the results folder.
    """

    id: int
    sequence: int | None
    path: PurePosixPath
    stamp: Stamp
    sha256: str | None
    field: str | None
    pixel_size_nm: float | None
    state: FrameState
    reason: str | None
    method: MethodRef | None
    release_id: str | None
    result: str | None
    finished_at: float | None


@dataclass(frozen=True, slots=True)
class Finished:
    """A result that is durable on disk; `busy_s` is the worker's time for it."""

    method: MethodRef
    release_id: str | None
    result: str
    busy_s: float


@dataclass(frozen=True, slots=True)
class AcceptedFile:
    """The file of an accepted frame; `path` is relative to the acquisition folder."""

    path: str
    sha256: str
    field: str | None


class Ledger:
    """Frames in the database; every method that returns has made its change durable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def stamps(self) -> dict[str, Stamp]:
        """List the stamp of every file that need not be read again, by path."""
        rows = self._database.rows(
            "SELECT path, size, mtime_ns FROM frames WHERE id IN (SELECT max(id) FROM frames GROUP BY path)"
            " AND NOT (state = 'set_aside' AND ifnull(reason, '') LIKE ? || '%')",
            (MISSING,),
        )
        return {row["path"]: Stamp(row["size"], row["mtime_ns"]) for row in rows}

    def knows(self, path: str, stamp: Stamp) -> bool:
        """Whether this file, unchanged since, has been dealt with."""
        row = _latest(self._database, path)
        return (
            row is not None
            and Stamp(row["size"], row["mtime_ns"]) == stamp
            and not (row["state"] == FrameState.SET_ASIDE and (row["reason"] or "").startswith(MISSING))
        )

    def accept(
        self, path: str, stamp: Stamp, header: Header, *, now: float, exists: Callable[[str], bool]
    ) -> int | None:
        """Take a whole file as a frame, once.

        Parameters
        ----------
        path
            Relative to the acquisition folder.
        exists
            Whether a path of an earlier frame is still there; tells a renamed file from a copy.

        Returns
        -------
        The frame's sequence; None where it is a frame that the ledger has already (touched or renamed).
        """
        with self._database.writing() as connection:
            latest = _latest(self._database, path)
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
                    "INSERT INTO frames (path, size, mtime_ns, state, arrived_at)"
                    " VALUES (?, ?, ?, 'waiting', ?)",
                    (path, stamp.size, stamp.mtime_ns, now),
                ).lastrowid
            else:
                latest_id = latest["id"]
            _fill(connection, latest_id, stamp, header)
            connection.execute("UPDATE frames SET sequence = ? WHERE id = ?", (sequence, latest_id))
            _note_backlog(connection)
            return sequence

    def set_file_aside(self, path: str, stamp: Stamp, reason: str, *, now: float) -> None:
        """Remember a file that is no frame, and why; a later change of the file is looked at again."""
        with self._database.writing() as connection:
            latest = _latest(self._database, path)
            if latest is None or latest["sequence"] is not None:
                connection.execute(
                    "INSERT INTO frames (path, size, mtime_ns, state, reason, arrived_at)"
                    " VALUES (?, ?, ?, 'set_aside', ?, ?)",
                    (path, stamp.size, stamp.mtime_ns, reason, now),
                )
            else:
                connection.execute(
                    "UPDATE frames SET size = ?, mtime_ns = ?, reason = ? WHERE id = ?",
                    (stamp.size, stamp.mtime_ns, reason, latest["id"]),
                )

    def next_waiting(self, order: Order) -> LedgerFrame | None:
        """Choose the frame to reconstruct now."""
        oldest = "SELECT * FROM frames WHERE state = 'waiting' ORDER BY sequence LIMIT 1"
        row = None
        if order == "live":
            row = self._database.row(
                "SELECT * FROM frames WHERE state = 'waiting' AND sequence >"
                " (SELECT ifnull(max(sequence), 0) FROM frames WHERE state = 'reconstructed')"
                " ORDER BY sequence DESC LIMIT 1"
            )
        row = row or self._database.row(oldest)
        return None if row is None else _frame(row)

    def skip_between(self, k: int, *, now: float) -> int:
        """Give up the waiting frames whose sequence is no multiple of k; returns how many these are."""
        with self._database.writing() as connection:
            return connection.execute(
                "UPDATE frames SET state = 'skipped', finished_at = ? WHERE state = 'waiting'"
                " AND sequence % ? <> 0",
                (now, k),
            ).rowcount

    def finish(self, frame: LedgerFrame, finished: Finished, *, now: float) -> bool:
        """Record a durable result; False where the file changed meanwhile, so that it waits again."""
        with self._database.writing() as connection:
            done = connection.execute(
                "UPDATE frames SET state = 'reconstructed', reason = NULL, method = ?, release_id = ?,"
                " result = ?, busy_s = ?, finished_at = ? WHERE id = ? AND sha256 = ? AND state = 'waiting'",
                (
                    finished.method.model_dump_json(),
                    finished.release_id,
                    finished.result,
                    finished.busy_s,
                    now,
                    frame.id,
                    frame.sha256,
                ),
            )
            return done.rowcount == 1

    def set_aside(self, frame: LedgerFrame, reason: str, *, now: float) -> None:
        """Give a waiting frame up, for a reason that `site status` shows."""
        with self._database.writing() as connection:
            connection.execute(
                "UPDATE frames SET state = 'set_aside', reason = ?, finished_at = ?"
                " WHERE id = ? AND sha256 = ? AND state = 'waiting'",
                (reason, now, frame.id, frame.sha256),
            )

    def count_death(self, frame: LedgerFrame) -> int:
        """Count that the worker died on this frame; returns how often it has."""
        with self._database.writing() as connection:
            connection.execute("UPDATE frames SET deaths = deaths + 1 WHERE id = ?", (frame.id,))
            return int(
                connection.execute("SELECT deaths FROM frames WHERE id = ?", (frame.id,)).fetchone()[0]
            )

    def frames(self, state: FrameState | None = None) -> tuple[LedgerFrame, ...]:
        """Every file the ledger knows, or those of one state, in order of arrival."""
        rows = self._database.rows(
            "SELECT * FROM frames WHERE ? IS NULL OR state = ? ORDER BY id", (state, state)
        )
        return tuple(_frame(row) for row in rows)

    def frame(self, sequence: int) -> LedgerFrame:
        """Recall the accepted frame of this sequence."""
        row = self._database.row("SELECT * FROM frames WHERE sequence = ?", (sequence,))
        if row is None:
            raise KeyError(sequence)
        return _frame(row)

    def reconstructed(self, sequence: int | None = None) -> LedgerFrame | None:
        """Recall a frame that has a result: this one, or the newest; None where there is none."""
        row = self._database.row(
            "SELECT * FROM frames WHERE state = 'reconstructed' AND (? IS NULL OR sequence = ?)"
            " ORDER BY sequence DESC LIMIT 1",
            (sequence, sequence),
        )
        return None if row is None else _frame(row)

    def newest(self, count: int) -> tuple[AcceptedFile, ...]:
        """List the files of the last accepted frames, newest first, without those that were set aside."""
        rows = self._database.rows(
            "SELECT path, sha256, field FROM frames WHERE sequence IS NOT NULL AND state <> 'set_aside'"
            " ORDER BY sequence DESC LIMIT ?",
            (count,),
        )
        return tuple(AcceptedFile(row["path"], row["sha256"], row["field"]) for row in rows)

    def accepted_after(self, sequence: int, most: int) -> tuple[tuple[int, AcceptedFile, int], ...]:
        """List the next accepted frames: number, file, bytes; those that were set aside are passed over."""
        rows = self._database.rows(
            "SELECT sequence, path, sha256, field, size FROM frames"
            " WHERE sequence > ? AND state <> 'set_aside' ORDER BY sequence LIMIT ?",
            (sequence, most),
        )
        return tuple(
            (row["sequence"], AcceptedFile(row["path"], row["sha256"], row["field"]), row["size"])
            for row in rows
        )

    def counts(self) -> FrameCounts:
        """Frames by state, as the heartbeat and `site status` tell them, from one snapshot."""
        row = self._database.row(
            "SELECT count(*) AS acquired,"
            " ifnull(sum(state = 'reconstructed'), 0) AS reconstructed,"
            " ifnull(sum(state = 'waiting'), 0) AS waiting,"
            " ifnull(sum(state = 'set_aside'), 0) AS set_aside,"
            " ifnull(sum(state = 'skipped'), 0) AS skipped,"
            " (SELECT count(*) FROM outbox"
            "  WHERE purpose = 'benchmark_images' AND state = 'delivered') AS returned"
            " FROM frames"
        )
        assert row is not None
        return FrameCounts(**dict(row))

    def throughput_mpix_per_s(self) -> float | None:
        """Input megapixels reconstructed per second of the worker's time; None before the first."""
        row = self._database.row(
            "SELECT sum(pixels) / 1e6 / sum(busy_s) AS rate FROM frames WHERE state = 'reconstructed'"
        )
        return None if row is None else row["rate"]

    def frames_and_throughput(self, release_id: str) -> tuple[int, float | None]:
        """Count a release's frames and tell its megapixels per second of the worker's time."""
        row = self._database.row(
            "SELECT count(*) AS frames, sum(pixels) / 1e6 / nullif(sum(busy_s), 0) AS rate FROM frames"
            " WHERE state = 'reconstructed' AND release_id = ?",
            (release_id,),
        )
        assert row is not None
        return int(row["frames"]), row["rate"]

    def acquisition_mpix_per_s(self) -> float | None:
        """Megapixels acquired per second between the first and the last frame written; None before two."""
        row = self._database.row(
            "SELECT sum(pixels) / 1e6 / nullif((max(mtime_ns) - min(mtime_ns)) / 1e9, 0) AS rate"
            " FROM frames WHERE sequence IS NOT NULL"
        )
        return None if row is None else row["rate"]

    def backlog_max(self) -> int:
        """Recall the most frames that ever waited at the same time."""
        row = self._database.row("SELECT value FROM counters WHERE name = 'backlog_max'")
        return 0 if row is None else int(row["value"])


def _latest(database: Database, path: str) -> sqlite3.Row | None:
    return database.row("SELECT * FROM frames WHERE path = ? ORDER BY id DESC LIMIT 1", (path,))


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
        " acquisition = ?, state = 'waiting', reason = NULL, deaths = 0 WHERE id = ?",
        (
            stamp.size,
            stamp.mtime_ns,
            header.sha256,
            header.field,
            header.pixel_size_nm,
            header.pixels,
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


def _frame(row: sqlite3.Row) -> LedgerFrame:
    return LedgerFrame(
        id=row["id"],
        sequence=row["sequence"],
        path=PurePosixPath(row["path"]),
        stamp=Stamp(row["size"], row["mtime_ns"]),
        sha256=row["sha256"],
        field=row["field"],
        pixel_size_nm=row["pixel_size_nm"],
        state=FrameState(row["state"]),
        reason=row["reason"],
        method=None if row["method"] is None else _METHOD.validate_json(row["method"]),
        release_id=row["release_id"],
        result=row["result"],
        finished_at=row["finished_at"],
    )
