"""What each campaign did and found; every note has a key, so that a repeated step notes nothing twice."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlmodel import col, select, update

from coordinator.store.database import Database
from coordinator.store.tables import CampaignRow, EventRow, FindingRow
from coordinator.store.values import Campaign, Event, Opening, Trigger


class Campaigns:
    """The campaigns of every instrument."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def open(
        self, opening: Opening, stage: str, now: float, findings: Mapping[str, Any] | None = None
    ) -> str:
        """Make sure that a campaign exists, and return its id, which is also its workflow's.

        Parameters
        ----------
        findings
            What a new one begins with: name -> JSON value.
        """
        with self._database.write() as session:
            if session.get(CampaignRow, opening.campaign_id) is None:
                session.add(
                    CampaignRow(
                        id=opening.campaign_id,
                        instrument_id=opening.instrument_id,
                        number=opening.number,
                        stage=stage,
                        trigger=opening.trigger.value,
                        from_sequence=opening.from_sequence,
                        created_at=now,
                    )
                )
                session.add_all(
                    FindingRow(
                        campaign_id=opening.campaign_id, name=name, body=json.dumps(body, allow_nan=False)
                    )
                    for name, body in (findings or {}).items()
                )
        return opening.campaign_id

    def enter(self, campaign_id: str, stage: str) -> None:
        """Move a campaign to a stage."""
        change = update(CampaignRow).where(col(CampaignRow.id) == campaign_id).values(stage=stage)
        with self._database.write() as session:
            session.exec(change)

    def leave(self, campaign_id: str, before: str, after: str) -> None:
        """Move a campaign from one stage to another, unless it has left that one already."""
        change = update(CampaignRow).where(
            col(CampaignRow.id) == campaign_id, col(CampaignRow.stage) == before
        )
        with self._database.write() as session:
            session.exec(change.values(stage=after))

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
                trigger=Trigger(row.trigger),
                from_sequence=row.from_sequence,
                created_at=row.created_at,
                events=tuple(Event(at=each.at, stage=each.stage, text=each.text) for each in events),
                findings={each.name: json.loads(each.body) for each in findings},
            )

    def ids(self) -> tuple[str, ...]:
        """Every campaign, in the order of its opening."""
        with self._database.read() as session:
            return tuple(session.exec(select(CampaignRow.id).order_by(col(CampaignRow.created_at))))

    def of(self, instrument_id: str) -> tuple[str, ...]:
        """Ids of an instrument's campaigns, oldest first."""
        query = select(CampaignRow.id).where(CampaignRow.instrument_id == instrument_id)
        with self._database.read() as session:
            return tuple(session.exec(query.order_by(col(CampaignRow.number))))

    def at_stages(self, instrument_id: str, stages: Sequence[str]) -> tuple[str, ...]:
        """Find an instrument's campaigns at one of some stages, oldest first."""
        query = select(CampaignRow.id).where(
            CampaignRow.instrument_id == instrument_id, col(CampaignRow.stage).in_(stages)
        )
        with self._database.read() as session:
            return tuple(session.exec(query.order_by(col(CampaignRow.number))))

    def openings(self, instrument_id: str) -> tuple[Opening, ...]:
        """Tell how an instrument's campaigns were opened, oldest first."""
        query = select(CampaignRow).where(CampaignRow.instrument_id == instrument_id)
        with self._database.read() as session:
            return tuple(
                Opening(row.instrument_id, row.number, Trigger(row.trigger), row.from_sequence)
                for row in session.exec(query.order_by(col(CampaignRow.number)))
            )

    def holders(self, finding: str) -> tuple[str, ...]:
        """Ids of the campaigns and federations that have a finding of a name."""
        with self._database.read() as session:
            return tuple(session.exec(select(FindingRow.campaign_id).where(FindingRow.name == finding)))

    def finding(self, campaign_id: str, name: str) -> Any:  # noqa: ANN401
        """Read one finding; None where there is none."""
        with self._database.read() as session:
            row = session.get(FindingRow, (campaign_id, name))
            return None if row is None else json.loads(row.body)
