"""What drift is told from: one observation per image."""

from sqlmodel import col, select

from benchmark.observation import Observation
from coordinator.store.database import Database
from coordinator.store.tables import ObservationRow
from coordinator.store.values import StoredImage, StoredObservation
from model_library.wire.images import ImagePurpose


class Observations:
    """The observations of every instrument's images."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, image: StoredImage, seen: Observation) -> None:
        """Keep what an image shows; twice is once."""
        row = ObservationRow(
            image_id=image.id,
            instrument_id=image.instrument_id,
            purpose=image.purpose.value,
            sequence=image.sequence,
            body=seen.model_dump_json(),
        )
        with self._database.write() as session:
            session.merge(row)

    def of(self, instrument_id: str) -> tuple[StoredObservation, ...]:
        """Observations of an instrument's images, in the order of acquisition."""
        query = select(ObservationRow).where(ObservationRow.instrument_id == instrument_id)
        order = (col(ObservationRow.sequence), col(ObservationRow.image_id))
        with self._database.read() as session:
            return tuple(
                StoredObservation(
                    image_id=row.image_id,
                    instrument_id=row.instrument_id,
                    purpose=ImagePurpose(row.purpose),
                    sequence=row.sequence,
                    seen=Observation.model_validate_json(row.body),
                )
                for row in session.exec(query.order_by(*order))
            )
