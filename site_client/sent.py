"""What has left this site: every image, every weight update, byte by byte; the site's own record of it."""

import time
from datetime import UTC, datetime
from pathlib import Path

from model_library.wire.base import Message
from model_library.wire.images import ImagePurpose
from site_client.federation.account import PrivacyTold, UpdateAccount
from site_client.journal import BytesKind, Event
from site_client.memory import seen_memory
from site_client.settings import read_settings


class SentImage(Message):
    """An image that the coordinator has.

    Attributes
    ----------
    path
        Relative to the acquisition folder.
    sha256, bytes
        Of what left.
    acquired_sha256
        Of the acquired file; the same where that left as it is.
    made
        What the site's policy made of it; None where it left as it is.
    """

    at: datetime
    purpose: ImagePurpose
    sequence: int
    path: str
    sha256: str
    bytes: int
    acquired_sha256: str
    made: str | None = None


class Sent(Message):
    """Everything that left; `updates` are the federation's rounds that this site answered."""

    images: tuple[SentImage, ...]
    updates: tuple[Event, ...]
    privacy: PrivacyTold
    bytes_out: dict[BytesKind, int]


def read_sent(folder: Path) -> Sent:
    """Read the record of a site folder, oldest first.

    Raises
    ------
    SettingsError, EnrolmentError
        The folder is not that of a site, or its daemon never ran.
    """
    settings = read_settings(folder)
    with seen_memory(folder) as memory:
        journal = memory.journal
        rows = memory.database.rows(
            "SELECT delivered_at, purpose, outbox.sequence, path, sha256, size, sent_sha256, sent_bytes,"
            " policy FROM outbox JOIN frames USING (sequence) WHERE outbox.state = 'delivered'"
            " ORDER BY delivered_at, outbox.id"
        )
        return Sent(
            images=tuple(
                SentImage(
                    at=datetime.fromtimestamp(row["delivered_at"], UTC),
                    purpose=row["purpose"],
                    sequence=row["sequence"],
                    path=row["path"],
                    sha256=row["sent_sha256"] or row["sha256"],
                    bytes=row["sent_bytes"] or row["size"],
                    acquired_sha256=row["sha256"],
                    made=row["policy"],
                )
                for row in rows
            ),
            updates=tuple(event for event in journal.events(5000) if event.kind == "federation-round"),
            privacy=UpdateAccount(journal, settings, time.time).told(),
            bytes_out=journal.bytes_out(),
        )
