"""Which uploads are under way, how much of each is durable, and how each ended."""

import secrets

from sqlmodel import Session, col, delete, func, select, update

from coordinator.errors import Conflict
from coordinator.store.database import Database
from coordinator.store.tables import UploadRow
from coordinator.store.values import Upload, UploadState
from model_library.wire.images import ImageDeclaration, ImagePurpose


def _upload(row: UploadRow) -> Upload:
    return Upload(
        id=row.id,
        instrument_id=row.instrument_id,
        declaration=ImageDeclaration.model_validate_json(row.declaration),
        offset=row.offset,
        expires_at=row.expires_at,
        state=UploadState(row.state),
        refusal=row.refusal,
    )


def _same_name(session: Session, instrument_id: str, declaration: ImageDeclaration) -> UploadRow | None:
    return session.exec(
        select(UploadRow).where(
            UploadRow.instrument_id == instrument_id,
            UploadRow.purpose == declaration.purpose.value,
            UploadRow.sequence == declaration.sequence,
        )
    ).first()


class Uploads:
    """The uploads of every instrument."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def declare(self, instrument_id: str, declaration: ImageDeclaration, expires_at: float) -> Upload:
        """Open an upload, or return the one that `(instrument, purpose, sequence)` already has.

        Raises
        ------
        Conflict
            The name is taken by an image with another digest.
        """
        with self._database.write() as session:
            row = _same_name(session, instrument_id, declaration)
            if row is not None:
                upload = _upload(row)
                if upload.declaration.sha256 != declaration.sha256:
                    message = (
                        f"expected {declaration.purpose} {declaration.sequence} to have SHA-256 "
                        f"{upload.declaration.sha256} as declared before, found {declaration.sha256}; "
                        "end the earlier upload, or count on with a new sequence number"
                    )
                    raise Conflict(message)
                return upload
            row = UploadRow(
                id=secrets.token_hex(16),
                instrument_id=instrument_id,
                purpose=declaration.purpose.value,
                sequence=declaration.sequence,
                declaration=declaration.model_dump_json(),
                expires_at=expires_at,
                state=UploadState.OPEN.value,
            )
            session.add(row)
            return _upload(row)

    def find(self, upload_id: str) -> Upload | None:
        """Look an upload up."""
        with self._database.read() as session:
            row = session.get(UploadRow, upload_id)
            return None if row is None else _upload(row)

    def advance(self, upload_id: str, offset: int) -> None:
        """Note how many bytes are durable; never before they are."""
        change = update(UploadRow).where(col(UploadRow.id) == upload_id).values(offset=offset)
        with self._database.write() as session:
            session.exec(change)

    def refuse(self, upload_id: str, reason: str) -> None:
        """Note that the bytes are whole but not accepted."""
        change = (
            update(UploadRow)
            .where(col(UploadRow.id) == upload_id, col(UploadRow.state) == UploadState.OPEN.value)
            .values(state=UploadState.REFUSED.value, refusal=reason)
        )
        with self._database.write() as session:
            session.exec(change)

    def refused(
        self, instrument_id: str, purpose: ImagePurpose, first: int = 1, end: int | None = None
    ) -> int:
        """Count the refused images of an instrument from a sequence number on, before another one.

        Each leaves a gap.
        """
        query = select(func.count()).where(
            UploadRow.instrument_id == instrument_id,
            UploadRow.purpose == purpose.value,
            UploadRow.state == UploadState.REFUSED.value,
            UploadRow.sequence >= first,
        )
        if end is not None:
            query = query.where(UploadRow.sequence < end)
        with self._database.read() as session:
            return session.exec(query).one()

    def forget(self, upload_id: str) -> None:
        """Drop an upload, so that its name is free again."""
        with self._database.write() as session:
            session.exec(delete(UploadRow).where(col(UploadRow.id) == upload_id))

    def whole_but_open(self) -> tuple[Upload, ...]:
        """Find uploads whose last byte arrived before a crash and whose intake did not end."""
        return tuple(each for each in self._open() if each.offset == each.declaration.bytes)

    def expired(self, now: float) -> tuple[Upload, ...]:
        """Find unfinished uploads past their time."""
        return tuple(each for each in self._open() if each.expires_at < now)

    def _open(self) -> tuple[Upload, ...]:
        with self._database.read() as session:
            rows = session.exec(select(UploadRow).where(UploadRow.state == UploadState.OPEN.value))
            return tuple(_upload(row) for row in rows)
