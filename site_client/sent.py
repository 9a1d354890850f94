"""What has left this site: every image, every weight update, byte by byte; the site's own record of it."""

from datetime import UTC, datetime
from pathlib import Path

from model_library.wire.base import Message
from model_library.wire.images import ImagePurpose
from site_client.database import Database
from site_client.errors import EnrolmentError
from site_client.federation.account import PrivacyTold, UpdateAccount
from site_client.journal import BytesKind, Event, Journal
from site_client.memory import LEDGER_FILE
from site_client.settings import read_settings


class SentImage(Message):
    """An image that the coordinator has; `path` is relative to the acquisition folder."""

    at: datetime
    purpose: ImagePurpose
    sequence: int
    path: str
    sha256: str
    bytes: int


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
        The folder is not that of an enrolled site, or its daemon never ran.
    """
    if not (folder / LEDGER_FILE).exists():
        raise EnrolmentError(f"expected a ledger in {folder}, found none: nothing was ever sent from here")
    database = Database(folder / LEDGER_FILE, read_only=True)
    try:
        rows = database.rows(
            "SELECT delivered_at, purpose, outbox.sequence, path, sha256, size FROM outbox"
            " JOIN frames USING (sequence) WHERE outbox.state = 'delivered' ORDER BY delivered_at, outbox.id"
        )
        journal = Journal(database, lambda: 0.0)
        return Sent(
            images=tuple(
                SentImage(
                    at=datetime.fromtimestamp(row["delivered_at"], UTC),
                    purpose=row["purpose"],
                    sequence=row["sequence"],
                    path=row["path"],
                    sha256=row["sha256"],
                    bytes=row["size"],
                )
                for row in rows
            ),
            updates=tuple(event for event in journal.events(5000) if event.kind == "federation-round"),
            privacy=UpdateAccount(journal, read_settings(folder), lambda: 0.0).told(),
            bytes_out=journal.bytes_out(),
        )
    finally:
        database.close()
