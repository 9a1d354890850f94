"""Where a run stands: one look at coordinator, daemons and microscopes."""

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from model_library.wire.base import Message
from simulations.journal import Acquisition, read_journal
from simulations.operator_view import CampaignSeen, Overview
from simulations.workspace import Run, Workspace
from site_client.errors import SiteError
from site_client.status import SiteStatus, read_status

MONITORING = "monitoring"


@dataclass(frozen=True, slots=True)
class SiteLook:
    """One site: what its microscope did, what its daemon and the coordinator say of it."""

    name: str
    planned: int
    every_n: int
    acquired: tuple[Acquisition, ...]
    status: SiteStatus | None
    campaign: CampaignSeen | None

    @property
    def has_final(self) -> bool:
        """Whether the daemon uses what the campaign ended with: its final release, or what stayed."""
        final = None if self.campaign is None else self.campaign.final
        service = None if self.status is None else self.status.in_service
        return final is not None and service is not None and service.release_id == final["release_id"]

    @property
    def campaign_over(self) -> bool:
        """Whether nothing more will come of the campaign."""
        return self.campaign is not None and (self.campaign.failed or self.has_final)

    def waiting_for(self) -> tuple[str, ...]:
        """Say in words what is still to come; empty where the site is done."""
        if self.status is None or self.campaign is None:
            return ("its daemon to start",)
        frames, campaign = self.status.frames, self.campaign
        due = (frames.acquired - self._never_frames()) // self.every_n
        checks = (
            (len(self.acquired) < self.planned, f"{self.planned - len(self.acquired)} frames to be acquired"),
            (not self.campaign_over, f"its campaign: {campaign.stage}"),
            (
                frames.acquired < len(self.acquired),
                f"{len(self.acquired) - frames.acquired} frames to be noticed",
            ),
            (frames.waiting > 0, f"{frames.waiting} frames to be reconstructed"),
            (frames.returned < due, f"{due - frames.returned} frames to be returned"),
            (
                len(campaign.monitoring) < due,
                f"{due - len(campaign.monitoring)} returned frames to be scored",
            ),
            (not campaign.failed and campaign.stage != MONITORING, "the campaign to close"),
        )
        return tuple(words for unfinished, words in checks if unfinished)

    def _never_frames(self) -> int:
        assert self.status is not None
        return sum(each.sequence is None for each in self.status.set_aside)


@dataclass(frozen=True, slots=True)
class Look:
    """All sites at one moment; `at_s` since the run began."""

    at_s: float
    sites: tuple[SiteLook, ...]

    @property
    def done(self) -> bool:
        """Whether nothing is waited for any more."""
        return not any(site.waiting_for() for site in self.sites)


class SitePoint(Message):
    """Counts of one site at one moment."""

    acquired: int
    reconstructed: int
    waiting: int
    returned: int


class Point(Message):
    """One line of the run's history."""

    at_s: float
    sites: dict[str, SitePoint]


def look(run: Run, workspace: Workspace, overview: Overview | None, at_s: float) -> Look:
    """Look at every site, from its folder and the coordinator's overview."""
    return Look(
        at_s,
        tuple(
            SiteLook(
                name=site.name,
                planned=site.frames,
                every_n=run.every_n,
                acquired=read_journal(workspace.microscope(site.name, "jsonl")),
                status=_status(workspace.site(site.name)),
                campaign=None if overview is None else overview.of(site.name),
            )
            for site in run.scenario.sites
        ),
    )


def point(seen: Look) -> Point:
    """Reduce a look to what the history keeps."""
    sites = {
        site.name: SitePoint(
            acquired=len(site.acquired),
            reconstructed=0 if site.status is None else site.status.frames.reconstructed,
            waiting=0 if site.status is None else site.status.frames.waiting,
            returned=0 if site.status is None else site.status.frames.returned,
        )
        for site in seen.sites
    }
    return Point(at_s=round(seen.at_s, 2), sites=sites)


def read_history(path: Path) -> tuple[Point, ...]:
    """Read the run's history."""
    if not path.exists():
        return ()
    whole = path.read_text(encoding="utf-8").rpartition("\n")[0]
    return tuple(Point.model_validate_json(line) for line in whole.splitlines())


def _status(folder: Path) -> SiteStatus | None:
    try:
        return read_status(folder)
    except (SiteError, sqlite3.OperationalError):  # not enrolled, or its database is being made
        return None
