"""The frames of a site: each accepted exactly once, none forgotten."""

import sqlite3
from collections.abc import Callable
from pathlib import PurePosixPath

from pydantic import TypeAdapter

from model_library.wire.methods import MethodRef
from model_library.wire.orders import FrameCounts
from site_client.acceptance import LATEST, accepted, latest_of
from site_client.backlog import acquisition_rate
from site_client.database import Database
from site_client.frames import (
    TRIED_AGAIN,
    AcceptedFile,
    Finished,
    FrameState,
    Header,
    LedgerFrame,
    Order,
    Stamp,
)

_METHOD: TypeAdapter[MethodRef] = TypeAdapter(MethodRef)


class Ledger:
    """Frames in the database; every method that returns has made its change durable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def stamps(self) -> dict[str, Stamp]:
        """List the stamp of every file that need not be read again, by path."""
        rows = self._database.rows(
            "SELECT path, size, mtime_ns FROM frames WHERE id IN (SELECT max(id) FROM frames GROUP BY path)"
            " AND NOT (state = 'set_aside' AND (reason LIKE ? || '%' OR reason LIKE ? || '%'))",
            TRIED_AGAIN,
        )
        return {row["path"]: Stamp(row["size"], row["mtime_ns"]) for row in rows}

    def knows(self, path: str, stamp: Stamp) -> bool:
        """Whether this file, unchanged since, has been dealt with."""
        row = self._database.row(LATEST, (path,))
        return (
            row is not None
            and Stamp(row["size"], row["mtime_ns"]) == stamp
            and not (row["state"] == FrameState.SET_ASIDE and (row["reason"] or "").startswith(TRIED_AGAIN))
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
            return accepted(connection, path, stamp, header, now=now, exists=exists)

    def set_file_aside(self, path: str, stamp: Stamp, reason: str, *, now: float) -> bool:
        """Remember a file that is no frame, and why; a later change of the file is looked at again.

        Returns
        -------
        Whether that is news.
        """
        with self._database.writing() as connection:
            latest = latest_of(connection, path)
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
            return latest is None or latest["reason"] != reason

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

    def latest_set_aside(self) -> LedgerFrame | None:
        """Recall the file that came last of those that were set aside; None where there is none."""
        row = self._database.row("SELECT * FROM frames WHERE state = 'set_aside' ORDER BY id DESC LIMIT 1")
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
        """Megapixels acquired per second since the first frame; None before two."""
        return acquisition_rate(self._database)

    def backlog_max(self) -> int:
        """Recall the most frames that ever waited at the same time."""
        row = self._database.row("SELECT value FROM counters WHERE name = 'backlog_max'")
        return 0 if row is None else int(row["value"])


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
