"""Accepted images and the split of each field of view, assigned on arrival and for good."""

from sqlmodel import Session, col, select, update

from benchmark.splits import Split, assign
from coordinator.store.database import Database
from coordinator.store.tables import FieldRow, ImageRow, ReleaseRow, UploadRow
from coordinator.store.values import StoredImage, Upload, UploadState
from model_library.wire.images import AcquisitionFacts, ImagePurpose


def _image(row: ImageRow) -> StoredImage:
    assert row.id is not None
    return StoredImage(
        id=row.id,
        instrument_id=row.instrument_id,
        purpose=ImagePurpose(row.purpose),
        sequence=row.sequence,
        field=row.field,
        split=Split(row.split),
        sha256=row.sha256,
        bytes=row.bytes,
        file_name=row.file_name,
        pixel_size_nm=row.pixel_size_nm,
        accepted_at=row.accepted_at,
        release_id=row.release_id,
        acquisition=None
        if row.acquisition is None
        else AcquisitionFacts.model_validate_json(row.acquisition),
    )


def _split_of(session: Session, instrument_id: str, field: str) -> Split:
    known = session.exec(select(FieldRow).where(FieldRow.instrument_id == instrument_id)).all()
    taken = {row.field: Split(row.split) for row in known}
    if field in taken:
        return taken[field]
    split = assign(field, taken)
    session.add(FieldRow(instrument_id=instrument_id, field=field, split=split.value))
    return split


def _in_service(session: Session, instrument_id: str) -> str | None:
    installed = (
        select(ReleaseRow.id)
        .where(ReleaseRow.instrument_id == instrument_id, col(ReleaseRow.installed_at).is_not(None))
        .order_by(col(ReleaseRow.number).desc())
    )
    return session.exec(installed).first()


class Images:
    """The images of every instrument."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def accept(self, upload: Upload, field: str, pixel_size_nm: float | None, now: float) -> StoredImage:
        """Assign the split, keep the image and close its upload in one transaction; twice is once."""
        told = upload.declaration
        with self._database.write() as session:
            query = select(ImageRow).where(
                ImageRow.instrument_id == upload.instrument_id,
                ImageRow.purpose == told.purpose.value,
                ImageRow.sequence == told.sequence,
            )
            row = session.exec(query).first()
            if row is None:
                row = ImageRow(
                    instrument_id=upload.instrument_id,
                    purpose=told.purpose.value,
                    sequence=told.sequence,
                    field=field,
                    split=_split_of(session, upload.instrument_id, field).value,
                    sha256=told.sha256,
                    bytes=told.bytes,
                    file_name=told.file_name,
                    pixel_size_nm=pixel_size_nm,
                    acquisition=(
                        None
                        if told.acquisition is None
                        else told.acquisition.model_dump_json(exclude_none=True)
                    ),
                    accepted_at=now,
                    release_id=_in_service(session, upload.instrument_id),
                )
                session.add(row)
            session.exec(
                update(UploadRow)
                .where(col(UploadRow.id) == upload.id)
                .values(state=UploadState.ACCEPTED.value, offset=told.bytes)
            )
            session.flush()
            return _image(row)

    def with_digest(self, instrument_id: str, sha256: str) -> StoredImage | None:
        """Find an image that this instrument, and no other, delivered before."""
        query = select(ImageRow).where(ImageRow.instrument_id == instrument_id, ImageRow.sha256 == sha256)
        with self._database.read() as session:
            row = session.exec(query).first()
            return None if row is None else _image(row)

    def get(self, image_id: int) -> StoredImage | None:
        """Look an image up."""
        with self._database.read() as session:
            row = session.get(ImageRow, image_id)
            return None if row is None else _image(row)

    def of(self, instrument_id: str, purpose: ImagePurpose | None = None) -> tuple[StoredImage, ...]:
        """Images of an instrument, in the order of their acquisition."""
        query = select(ImageRow).where(ImageRow.instrument_id == instrument_id)
        if purpose is not None:
            query = query.where(ImageRow.purpose == purpose.value)
        with self._database.read() as session:
            rows = session.exec(query.order_by(col(ImageRow.purpose), col(ImageRow.sequence)))
            return tuple(_image(row) for row in rows)
