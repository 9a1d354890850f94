"""What each federation did and found, and the fields of view that its members may train on."""

import json
from collections.abc import Sequence
from typing import Any

from sqlmodel import Session, col, func, select, update

from benchmark.splits import Split, assign
from coordinator.store.campaigns import Campaigns
from coordinator.store.database import Database
from coordinator.store.tables import EventRow, FederationRow, FieldRow, FindingRow, QuarantineLiftRow
from coordinator.store.values import Event, Federation


class Federations:
    """The federations of every cohort; one at a time is under way."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._histories = Campaigns(database)

    def open(self, cohort: str, start: str, stage: str, now: float) -> str | None:
        """Open a federation and return its id, or None while another one is under way.

        Parameters
        ----------
        start
            What it begins with, as JSON; never changed again.
        """
        going_on = select(FederationRow.id).where(col(FederationRow.ended_at).is_(None))
        with self._database.write() as session:
            if session.exec(going_on).first() is not None:
                return None
            number = session.exec(select(func.count()).select_from(FederationRow)).one() + 1
            row = FederationRow(
                id=f"federation-{number:04d}",
                number=number,
                cohort=cohort,
                stage=stage,
                created_at=now,
                start=start,
            )
            session.add(row)
            return row.id

    def enter(self, federation_id: str, stage: str) -> None:
        """Move a federation that has not ended to a stage."""
        self._change(federation_id, stage=stage)

    def end(self, federation_id: str, stage: str, now: float) -> None:
        """End a federation; the first end counts."""
        self._change(federation_id, stage=stage, ended_at=now)

    def note(self, federation_id: str, key: str, event: Event) -> None:
        """Add a line to the history, unless a line of this key is there."""
        self._histories.note(federation_id, key, event)

    def find_out(self, federation_id: str, name: str, body: Any) -> None:  # noqa: ANN401
        """Keep a finding (any JSON value), in place of an earlier one of this name."""
        self._histories.find_out(federation_id, name, body)

    def get(self, federation_id: str) -> Federation | None:
        """Read one federation with its history and findings."""
        with self._database.read() as session:
            row = session.get(FederationRow, federation_id)
            return None if row is None else _federation(session, row)

    def is_under_way(self) -> bool:
        """Whether one has not ended."""
        query = select(FederationRow.id).where(col(FederationRow.ended_at).is_(None))
        with self._database.read() as session:
            return session.exec(query).first() is not None

    def under_way(self) -> Federation | None:
        """Read the one that has not ended, if there is one."""
        query = select(FederationRow).where(col(FederationRow.ended_at).is_(None))
        with self._database.read() as session:
            row = session.exec(query).first()
            return None if row is None else _federation(session, row)

    def all(self) -> tuple[Federation, ...]:
        """Every federation, oldest first."""
        with self._database.read() as session:
            rows = session.exec(select(FederationRow).order_by(col(FederationRow.number))).all()
            return tuple(_federation(session, row) for row in rows)

    def found(self, name: str) -> tuple[Any, ...]:
        """Read one finding of every federation that has it, oldest first."""
        query = (
            select(FindingRow)
            .join(FederationRow, col(FederationRow.id) == col(FindingRow.campaign_id))
            .where(FindingRow.name == name)
            .order_by(col(FederationRow.number))
        )
        with self._database.read() as session:
            return tuple(json.loads(row.body) for row in session.exec(query).all())

    def tuning_fields(self, instrument_id: str, fields: Sequence[str]) -> tuple[str, ...]:
        """Tell which fields of view are for tuning; those never seen before get their split, for good."""
        with self._database.write() as session:
            known = session.exec(select(FieldRow).where(FieldRow.instrument_id == instrument_id)).all()
            taken = {row.field: Split(row.split) for row in known}
            for field in dict.fromkeys(fields):
                if field not in taken:
                    taken[field] = assign(field, taken)
                    session.add(FieldRow(instrument_id=instrument_id, field=field, split=taken[field].value))
            return tuple(sorted({field for field in fields if taken[field] is Split.TUNING}))

    def lift(self, instrument_id: str, now: float) -> None:
        """End an instrument's quarantine, as of now."""
        with self._database.write() as session:
            session.merge(QuarantineLiftRow(instrument_id=instrument_id, at=now))

    def lifted(self) -> dict[str, float]:
        """Tell when each instrument's quarantine last ended."""
        with self._database.read() as session:
            return {row.instrument_id: row.at for row in session.exec(select(QuarantineLiftRow)).all()}

    def _change(self, federation_id: str, **values: Any) -> None:  # noqa: ANN401
        change = (
            update(FederationRow)
            .where(col(FederationRow.id) == federation_id, col(FederationRow.ended_at).is_(None))
            .values(values)
        )
        with self._database.write() as session:
            session.exec(change)


def _federation(session: Session, row: FederationRow) -> Federation:
    events = session.exec(
        select(EventRow).where(EventRow.campaign_id == row.id).order_by(col(EventRow.id))
    ).all()
    findings = session.exec(select(FindingRow).where(FindingRow.campaign_id == row.id)).all()
    return Federation(
        id=row.id,
        number=row.number,
        cohort=row.cohort,
        stage=row.stage,
        created_at=row.created_at,
        ended_at=row.ended_at,
        start=row.start,
        events=tuple(Event(at=each.at, stage=each.stage, text=each.text) for each in events),
        findings={each.name: json.loads(each.body) for each in findings},
    )
