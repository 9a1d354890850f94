"""Images that are to leave the site: decided once, kept until the coordinator has them."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from pydantic import TypeAdapter

from model_library.wire.images import AcquisitionFacts, ImageDeclaration, ImagePurpose
from model_library.wire.orders import Orders
from site_client.database import Database
from site_client.sample_back import Sampling, amended, due
from site_client.send_policy import Made

_ITEMS = (
    "SELECT outbox.*, path, size, sha256, field, pixel_size_nm, acquisition, planes, colour"
    " FROM outbox JOIN frames USING (sequence)"
)
_SCHEDULE: TypeAdapter[tuple[Sampling, ...]] = TypeAdapter(tuple[Sampling, ...])


@dataclass(frozen=True, slots=True)
class OutboxItem:
    """One image on its way.

    Attributes
    ----------
    declaration
        Of what is sent.
    path
        Of what was acquired, relative to the acquisition folder; `source_sha256` is its digest.
    location
        The upload's URL, once it is declared.
    policy
        By which the site made what is sent (`SendPolicy.told`); None for the file as it was acquired.
    planes
        Of what was acquired; of more than one, one is sent.
    colour
        Whether what was acquired is in colour, of which the luminance is sent.
    """

    id: int
    declaration: ImageDeclaration
    path: PurePosixPath
    source_sha256: str
    location: str | None
    policy: str | None
    planes: int = 1
    colour: bool = False


@dataclass(frozen=True, slots=True)
class OutboxCounts:
    """Images of one purpose, by state."""

    queued: int
    delivered: int
    refused: int
    lost: int


class Outbox:
    """The queue in the database; every method that returns has made its change durable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def follow(self, orders: Orders, *, now: float, never: frozenset[ImagePurpose] = frozenset()) -> int:
        """Queue what the orders ask for and is not queued yet; returns how many images that is.

        Nothing is queued for a purpose for which the site's owner `never` lets an image out.
        """
        with self._database.writing() as connection:
            accepted = int(connection.execute("SELECT ifnull(max(sequence), 0) FROM frames").fetchone()[0])
            schedule = amended(self.schedule(), orders.every_n, accepted + 1)
            sampled = int(self._fact("sampled_through") or 0)
            wanted = [
                (ImagePurpose.FIRST, n)
                for asked in orders.first_images
                for n in range(asked.from_sequence, min(asked.from_sequence + asked.count, accepted + 1))
            ]
            wanted += [
                (ImagePurpose.BENCHMARK, n) for n in range(sampled + 1, accepted + 1) if due(n, schedule)
            ]
            before = connection.total_changes
            connection.executemany(
                "INSERT OR IGNORE INTO outbox (purpose, sequence, state, queued_at)"
                " VALUES (?, ?, 'queued', ?)",
                [(purpose, sequence, now) for purpose, sequence in wanted if purpose not in never],
            )
            queued = connection.total_changes - before
            facts = {
                "schedule": _SCHEDULE.dump_json(schedule).decode(),
                "sampled_through": str(accepted),
            }
            for name, value in facts.items():
                connection.execute(
                    "INSERT INTO facts VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
                    " WHERE value <> excluded.value",
                    (name, value),
                )
            return queued

    def schedule(self) -> tuple[Sampling, ...]:
        """Every sampling that was ever ordered."""
        fact = self._fact("schedule")
        return () if fact is None else _SCHEDULE.validate_json(fact)

    def next(
        self,
        now: float,
        *,
        held: frozenset[ImagePurpose] = frozenset(),
        besides: frozenset[int] = frozenset(),
    ) -> OutboxItem | None:
        """Choose the image to send now: first images first, since a campaign waits for them; then by age.

        Parameters
        ----------
        held
            Purposes whose images have to wait, except those of the ids in `besides`.
        """
        purposes, ids = sorted(held), sorted(besides)
        row = self._database.row(
            f"{_ITEMS} WHERE outbox.state = 'queued' AND not_before <= ?"
            f" AND (purpose NOT IN ({_marks(purposes)}) OR outbox.id IN ({_marks(ids)}))"
            " ORDER BY purpose <> 'first_images', sequence LIMIT 1",
            (now, *purposes, *ids),
        )
        return None if row is None else _item(row)

    def queued(self, *, after: int) -> tuple[OutboxItem, ...]:
        """List the images that are still to be sent, of those queued after the item of this id."""
        rows = self._database.rows(
            f"{_ITEMS} WHERE outbox.state = 'queued' AND outbox.id > ? ORDER BY outbox.id", (after,)
        )
        return tuple(_item(row) for row in rows)

    def locate(self, item: OutboxItem, location: str | None) -> None:
        """Remember where the coordinator takes this image, so that a restart resumes there."""
        self._set(item, "location = ?", (location,))

    def made(self, item: OutboxItem, made: Made | None) -> OutboxItem:
        """Note what is sent instead of the file itself; None for that file. Returns the item as it is now."""
        found = (None, None, None) if made is None else (made.sha256, made.bytes, made.policy)
        self._set(item, "sent_sha256 = ?, sent_bytes = ?, policy = ?", found)
        row = self._database.row(f"{_ITEMS} WHERE outbox.id = ?", (item.id,))
        assert row is not None
        return _item(row)

    def delivered(self, item: OutboxItem, *, now: float) -> None:
        """Note that the coordinator has the image, whole and verified."""
        self._set(item, "state = 'delivered', reason = NULL, delivered_at = ?", (now,))

    def refused(self, item: OutboxItem, reason: str) -> None:
        """Note that the coordinator does not want the image; it is not sent again."""
        self._set(item, "state = 'refused', reason = ?", (reason,))

    def lost(self, item: OutboxItem, reason: str) -> None:
        """Note that the file is no longer the frame that was accepted."""
        self._set(item, "state = 'lost', reason = ?", (reason,))

    def defer(self, item: OutboxItem, reason: str, *, until: float) -> None:
        """Let the others pass for a while."""
        self._set(item, "reason = ?, not_before = ?", (reason, until))

    def counts(self) -> dict[ImagePurpose, OutboxCounts]:
        """Images by purpose and state."""
        counted = {
            (row["purpose"], row["state"]): int(row["images"])
            for row in self._database.rows(
                "SELECT purpose, state, count(*) AS images FROM outbox GROUP BY purpose, state"
            )
        }
        states = ("queued", "delivered", "refused", "lost")
        return {
            purpose: OutboxCounts(*(counted.get((purpose.value, state), 0) for state in states))
            for purpose in ImagePurpose
        }

    def troubles(self) -> tuple[str, ...]:
        """Why images were refused, lost or deferred, one line each."""
        rows = self._database.rows(
            "SELECT purpose, sequence, state, reason FROM outbox WHERE reason IS NOT NULL ORDER BY id"
        )
        return tuple(f"{row['purpose']} {row['sequence']} {row['state']}: {row['reason']}" for row in rows)

    def _set(self, item: OutboxItem, change: str, values: tuple[str | float | None, ...]) -> None:
        with self._database.writing() as connection:
            connection.execute(
                f"UPDATE outbox SET {change} WHERE id = ? AND state = 'queued'",  # noqa: S608
                (*values, item.id),
            )

    def _fact(self, name: str) -> str | None:
        row = self._database.row("SELECT value FROM facts WHERE name = ?", (name,))
        return None if row is None else str(row["value"])


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))


def _item(row: sqlite3.Row) -> OutboxItem:
    path = PurePosixPath(row["path"])
    declaration = ImageDeclaration(
        purpose=row["purpose"],
        sequence=row["sequence"],
        file_name=path.name if row["policy"] is None else f"{path.stem.removesuffix('.ome')}.ome.tif",
        bytes=row["sent_bytes"] or row["size"],
        sha256=row["sent_sha256"] or row["sha256"],
        field=row["field"],
        pixel_size_nm=row["pixel_size_nm"],
        acquisition=(
            None if row["acquisition"] is None else AcquisitionFacts.model_validate_json(row["acquisition"])
        ),
    )
    return OutboxItem(
        id=row["id"],
        declaration=declaration,
        path=path,
        source_sha256=row["sha256"],
        location=row["location"],
        policy=row["policy"],
        planes=row["planes"],
        colour=bool(row["colour"]),
    )
