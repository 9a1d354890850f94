"""What each campaign did and found; every note has a key, so that a repeated step notes nothing twice."""

import json
from typing import Any

from sqlmodel import col, select, update

from coordinator.store.database import Database
from coordinator.store.tables import CampaignRow, EventRow, FindingRow
from coordinator.store.values import Campaign, Event


class Campaigns:
    """The campaigns of every instrument."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def open(self, instrument_id: str, number: int, stage: str, now: float) -> str:
        """Make sure that a campaign exists, and return its id, which is also its workflow's."""
        campaign_id = f"campaign-{instrument_id}-{number}"
        with self._database.write() as session:
            if session.get(CampaignRow, campaign_id) is None:
                session.add(
                    CampaignRow(
                        id=campaign_id,
                        instrument_id=instrument_id,
                        number=number,
                        stage=stage,
                        created_at=now,
                    )
                )
        return campaign_id

    def enter(self, campaign_id: str, stage: str) -> None:
        """Move a campaign to a stage."""
        change = update(CampaignRow).where(col(CampaignRow.id) == campaign_id).values(stage=stage)
        with self._database.write() as session:
            session.exec(change)

    def note(self, campaign_id: str, key: str, event: Event) -> None:
        """Add a line to the history, unless a line of this key is there."""
        query = select(EventRow.id).where(EventRow.campaign_id == campaign_id, EventRow.key == key)
        with self._database.write() as session:
            if session.exec(query).first() is None:
                session.add(
                    EventRow(
                        campaign_id=campaign_id, key=key, at=event.at, stage=event.stage, text=event.text
                    )
                )

    def find_out(self, campaign_id: str, name: str, body: Any) -> None:  # noqa: ANN401
        """Keep a finding (any JSON value), in place of an earlier one of this name."""
        row = FindingRow(campaign_id=campaign_id, name=name, body=json.dumps(body, allow_nan=False))
        with self._database.write() as session:
            session.merge(row)

    def get(self, campaign_id: str) -> Campaign | None:
        """Read one campaign with its history and findings."""
        with self._database.read() as session:
            row = session.get(CampaignRow, campaign_id)
            if row is None:
                return None
            events = session.exec(
                select(EventRow).where(EventRow.campaign_id == campaign_id).order_by(col(EventRow.id))
            )
            findings = session.exec(select(FindingRow).where(FindingRow.campaign_id == campaign_id))
            return Campaign(
                id=row.id,
                instrument_id=row.instrument_id,
                number=row.number,
                stage=row.stage,
                created_at=row.created_at,
                events=tuple(Event(at=each.at, stage=each.stage, text=each.text) for each in events),
                findings={each.name: json.loads(each.body) for each in findings},
            )

    def ids(self) -> tuple[str, ...]:
        """Every campaign, in the order of its opening."""
        with self._database.read() as session:
            return tuple(session.exec(select(CampaignRow.id).order_by(col(CampaignRow.created_at))))
