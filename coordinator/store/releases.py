"""Releases and how the method in service does on returned images."""

from pydantic import TypeAdapter
from sqlmodel import col, func, select, update

from coordinator.store.database import Database
from coordinator.store.tables import PerfectScoreRow, ReferenceScoreRow, ReleaseRow, ScoreRow
from coordinator.store.values import MonitoringScore, Release, ReleasePurpose
from model_library.cards.release import ReleaseManifest
from model_library.wire.methods import MethodRef

_METHOD: TypeAdapter[MethodRef] = TypeAdapter(MethodRef)


def _release(row: ReleaseRow) -> Release:
    return Release(
        id=row.id,
        instrument_id=row.instrument_id,
        campaign_id=row.campaign_id,
        purpose=ReleasePurpose(row.purpose),
        manifest=ReleaseManifest.model_validate_json(row.manifest),
        created_at=row.created_at,
        published_at=row.published_at,
        installed_at=row.installed_at,
    )


class Releases:
    """The releases of every instrument."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def next_number(self, instrument_id: str) -> int:
        """Count the next release of an instrument, from 1."""
        query = select(func.count()).where(ReleaseRow.instrument_id == instrument_id)
        with self._database.read() as session:
            return session.exec(query).one() + 1

    def keep(
        self, manifest: ReleaseManifest, campaign_id: str, purpose: ReleasePurpose, number: int
    ) -> Release:
        """Keep a manifest before it is published.

        A campaign or federation makes one release per purpose and instrument.
        """
        query = select(ReleaseRow).where(
            ReleaseRow.campaign_id == campaign_id,
            ReleaseRow.purpose == purpose.value,
            ReleaseRow.instrument_id == manifest.instrument_id,
        )
        with self._database.write() as session:
            row = session.exec(query).first()
            if row is None:
                row = ReleaseRow(
                    id=manifest.release_id,
                    instrument_id=manifest.instrument_id,
                    campaign_id=campaign_id,
                    purpose=purpose.value,
                    number=number,
                    manifest=manifest.model_dump_json(),
                    created_at=manifest.created_at.timestamp(),
                )
                session.add(row)
            return _release(row)

    def published(self, release_id: str, now: float) -> None:
        """Note that the release repository holds a release."""
        self._stamp(release_id, "published_at", now)

    def installed(self, release_id: str, now: float) -> None:
        """Note that the instrument reports a release as installed; the first report counts."""
        self._stamp(release_id, "installed_at", now)

    def _stamp(self, release_id: str, column: str, now: float) -> None:
        change = (
            update(ReleaseRow)
            .where(col(ReleaseRow.id) == release_id, col(getattr(ReleaseRow, column)).is_(None))
            .values({column: now})
        )
        with self._database.write() as session:
            session.exec(change)

    def of(self, instrument_id: str) -> tuple[Release, ...]:
        """Releases of an instrument, oldest first, published or not."""
        query = select(ReleaseRow).where(ReleaseRow.instrument_id == instrument_id)
        with self._database.read() as session:
            return tuple(_release(row) for row in session.exec(query.order_by(col(ReleaseRow.number))))

    def current(self, instrument_id: str) -> Release | None:
        """Find what the instrument's channel holds."""
        published = [release for release in self.of(instrument_id) if release.published_at is not None]
        return published[-1] if published else None

    def get(self, release_id: str) -> Release | None:
        """Look a release up."""
        with self._database.read() as session:
            row = session.get(ReleaseRow, release_id)
            return None if row is None else _release(row)


class Scores:
    """Monitoring scores of returned images."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, score: MonitoringScore) -> None:
        """Keep the score of an image, in place of an earlier one."""
        row = ScoreRow(
            image_id=score.image_id,
            instrument_id=score.instrument_id,
            sequence=score.sequence,
            release_id=score.release_id,
            method=None if score.method is None else score.method.model_dump_json(),
            metric=score.metric,
            score=score.score,
            reason=score.reason,
            at=score.at,
        )
        with self._database.write() as session:
            session.merge(row)
            if score.reference is not None and score.reference_score is not None:
                session.merge(
                    ReferenceScoreRow(
                        image_id=score.image_id,
                        instrument_id=score.instrument_id,
                        method=score.reference.model_dump_json(),
                        score=score.reference_score,
                    )
                )
            if score.perfect is not None:
                session.merge(
                    PerfectScoreRow(
                        image_id=score.image_id, instrument_id=score.instrument_id, score=score.perfect
                    )
                )

    def of(self, instrument_id: str) -> tuple[MonitoringScore, ...]:
        """Scores of an instrument, in the order of acquisition."""
        query = select(ScoreRow).where(ScoreRow.instrument_id == instrument_id)
        held = select(ReferenceScoreRow).where(ReferenceScoreRow.instrument_id == instrument_id)
        best = select(PerfectScoreRow).where(PerfectScoreRow.instrument_id == instrument_id)
        with self._database.read() as session:
            references = {
                row.image_id: (_METHOD.validate_json(row.method), row.score) for row in session.exec(held)
            }
            perfect = {row.image_id: row.score for row in session.exec(best)}
            return tuple(
                MonitoringScore(
                    image_id=row.image_id,
                    instrument_id=row.instrument_id,
                    sequence=row.sequence,
                    release_id=row.release_id,
                    method=None if row.method is None else _METHOD.validate_json(row.method),
                    metric=row.metric,
                    score=row.score,
                    reason=row.reason,
                    at=row.at,
                    reference=references.get(row.image_id, (None, None))[0],
                    reference_score=references.get(row.image_id, (None, None))[1],
                    perfect=perfect.get(row.image_id),
                )
                for row in session.exec(query.order_by(col(ScoreRow.sequence)))
            )
