"""What annotators drew on an instrument's images; an image is known by its content."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlmodel import col, select

from coordinator.store.database import Database
from coordinator.store.tables import AnnotationRow


@dataclass(frozen=True, slots=True)
class StoredAnnotation:
    """The labels of one image: `drawing` is a CVAT file of this image alone."""

    instrument_id: str
    sha256: str
    drawing: str
    shapes: int
    source: str
    imported_at: float


class Annotations:
    """The labels of every instrument's images; a later import of an image replaces the earlier one."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, annotations: Sequence[StoredAnnotation]) -> None:
        """Keep all of them, or, where something fails, none."""
        with self._database.write() as session:
            for each in annotations:
                session.merge(
                    AnnotationRow(
                        instrument_id=each.instrument_id,
                        sha256=each.sha256,
                        drawing=each.drawing,
                        shapes=each.shapes,
                        source=each.source,
                        imported_at=each.imported_at,
                    )
                )

    def get(self, instrument_id: str, sha256: str) -> StoredAnnotation | None:
        """Look up the labels of an image."""
        with self._database.read() as session:
            row = session.get(AnnotationRow, (instrument_id, sha256))
            if row is None:
                return None
            return StoredAnnotation(
                row.instrument_id, row.sha256, row.drawing, row.shapes, row.source, row.imported_at
            )

    def labelled(self, instrument_id: str) -> frozenset[str]:
        """Digests of the images of an instrument that have labels."""
        query = select(col(AnnotationRow.sha256)).where(AnnotationRow.instrument_id == instrument_id)
        with self._database.read() as session:
            return frozenset(session.exec(query))
