"""What a site remembers besides its frames: events, alarms, bytes sent, releases, what is in service."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from enum import StrEnum

import structlog

from model_library.cards.release import ReleaseManifest
from model_library.wire.base import Message
from model_library.wire.methods import MethodRef
from site_client.database import Database

_KEPT_EVENTS = 5000
_DECLINED = "declined"
_DECLINED_LOCAL = "declined_local"
LOCAL_SUFFIX = "-local"
"""Ends the id of what was adapted here from a release."""
_LOG = structlog.get_logger("site")


class BytesKind(StrEnum):
    """Why bytes leave a site; `control` is everything that is neither image nor update."""

    FIRST_IMAGES = "first_images"
    BENCHMARK_IMAGES = "benchmark_images"
    UPDATES = "updates"
    CONTROL = "control"


class InService(Message):
    """The method that frames are reconstructed with from now on."""

    release_id: str
    method: MethodRef

    @property
    def released(self) -> str:
        """Id of the release, also where a network that was adapted here serves in its place."""
        return self.release_id.removesuffix(LOCAL_SUFFIX)


class InstalledRelease(Message):
    """One line of the history of this instrument's methods."""

    release_id: str
    method: MethodRef
    reasons: tuple[str, ...]
    installed_at: datetime


class Event(Message):
    """Something that happened and that a person may want to know."""

    at: datetime
    kind: str
    text: str


class Journal:
    """Facts, counters and events in the database; durable when a method returns."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    def writing(self) -> AbstractContextManager[object]:
        """Make what the block reads and writes one change, also against other processes."""
        return self._database.writing()

    def note(self, kind: str, text: str) -> None:
        """Add an event, to the database and to the log."""
        _LOG.info(kind, text=text)
        with self._database.writing() as connection:
            connection.execute(
                "INSERT INTO events (at, kind, text) VALUES (?, ?, ?)", (self._clock(), kind, text)
            )
            connection.execute(
                "DELETE FROM events WHERE id <= (SELECT max(id) FROM events) - ?", (_KEPT_EVENTS,)
            )

    def events(self, last: int = 200) -> tuple[Event, ...]:
        """Recall the last events, oldest first."""
        rows = self._database.rows("SELECT * FROM events ORDER BY id DESC LIMIT ?", (last,))
        return tuple(Event(at=_time(row["at"]), kind=row["kind"], text=row["text"]) for row in reversed(rows))

    def raise_alarm(self, subject: str, text: str) -> None:
        """Put up an alarm that stays until it is cleared; an event only where its text is new."""
        if self.fact(f"alarm:{subject}") != text:
            with self._database.writing():
                self.remember(f"alarm:{subject}", text)
                self.note("alarm", f"{subject}: {text}")

    def clear_alarm(self, subject: str) -> None:
        """Take an alarm down."""
        if self.fact(f"alarm:{subject}") is not None:
            with self._database.writing():
                self.forget(f"alarm:{subject}")
                self.note("alarm-cleared", subject)

    def alarms(self) -> dict[str, str]:
        """Alarms that are up, by subject."""
        rows = self._database.rows("SELECT name, value FROM facts WHERE name LIKE 'alarm:%' ORDER BY name")
        return {row["name"].removeprefix("alarm:"): row["value"] for row in rows}

    def remember(self, name: str, value: str) -> None:
        """Set a fact."""
        with self._database.writing() as connection:
            connection.execute(
                "INSERT INTO facts VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                (name, value),
            )

    def fact(self, name: str) -> str | None:
        """Read a fact."""
        row = self._database.row("SELECT value FROM facts WHERE name = ?", (name,))
        return None if row is None else str(row["value"])

    def forget(self, name: str) -> None:
        """Drop a fact, if there is one."""
        with self._database.writing() as connection:
            connection.execute("DELETE FROM facts WHERE name = ?", (name,))

    def count_bytes(self, kind: BytesKind, count: int) -> None:
        """Add to the bytes that have left this site."""
        with self._database.writing() as connection:
            connection.execute(
                "INSERT INTO counters VALUES (?, ?)"
                " ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
                (f"bytes:{kind}", count),
            )

    def bytes_out(self) -> dict[BytesKind, int]:
        """Bytes that have left this site, by kind."""
        rows = self._database.rows("SELECT name, value FROM counters WHERE name LIKE 'bytes:%'")
        counted = {row["name"].removeprefix("bytes:"): int(row["value"]) for row in rows}
        return {kind: counted.get(kind, 0) for kind in BytesKind}

    def put_in_service(self, manifest: ReleaseManifest) -> None:
        """Make a release the method in service, and remember it, as one change."""
        with self._database.writing():
            self._serve(manifest.release_id, manifest.method, manifest.reasons)
            self.forget(_DECLINED)
            self.forget(_DECLINED_LOCAL)
            self.clear_alarm("fallback")
            self.note("installed", f"{manifest.release_id}: {manifest.method.id} {manifest.method.version}")

    def return_to(self, release: InstalledRelease, reason: str, *, declined: str | None) -> None:
        """Put a release of the history in service again, as one change.

        Parameters
        ----------
        reason
            Why; it is an alarm until another release is installed.
        declined
            Id of a release that is not to be installed again.
        """
        with self._database.writing():
            self._serve(release.release_id, release.method, (f"returned to: {reason}",))
            if declined is not None and declined.endswith(LOCAL_SUFFIX):
                self.remember(_DECLINED_LOCAL, declined.removesuffix(LOCAL_SUFFIX))
            elif declined is not None:
                self.remember(_DECLINED, declined)
            self.raise_alarm("fallback", f"back to {release.release_id} ({release.method.id}): {reason}")

    def declined(self) -> str | None:
        """Recall the release that was given up here."""
        return self.fact(_DECLINED)

    def serve_locally(self, present: InService, network: MethodRef, reason: str) -> bool:
        """Put a network that was adapted here in service, as one change.

        Parameters
        ----------
        present
            What it was adapted from; where something else is in service by now, nothing happens.

        Returns
        -------
        Whether it is in service.
        """
        with self._database.writing():
            if self.in_service() != present:
                return False
            release_id = f"{present.released}{LOCAL_SUFFIX}"
            self._serve(release_id, network, (reason,))
            self.note("adapted-locally", f"{release_id}: {network.id} {network.version}, {reason}")
            return True

    def declined_local(self) -> str | None:
        """Recall the release of which the network adapted here was given up."""
        return self.fact(_DECLINED_LOCAL)

    def _serve(self, release_id: str, method: MethodRef, reasons: tuple[str, ...]) -> None:
        with self._database.writing() as connection:
            service = InService(release_id=release_id, method=method)
            self.remember("in_service", service.model_dump_json())
            connection.execute(
                "INSERT INTO releases (release_id, method, reasons, installed_at) VALUES (?, ?, ?, ?)",
                (release_id, method.model_dump_json(), "\n".join(reasons), self._clock()),
            )

    def in_service(self) -> InService | None:
        """Recall the method in service; None before the first release."""
        fact = self.fact("in_service")
        return None if fact is None else InService.model_validate_json(fact)

    def releases(self) -> tuple[InstalledRelease, ...]:
        """Every release that was put in service, oldest first."""
        return tuple(
            InstalledRelease.model_validate(
                {
                    "release_id": row["release_id"],
                    "method": json.loads(row["method"]),
                    "reasons": tuple(row["reasons"].split("\n")) if row["reasons"] else (),
                    "installed_at": _time(row["installed_at"]),
                }
            )
            for row in self._database.rows("SELECT * FROM releases ORDER BY id")
        )


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
