"""Where a run stands: one look at coordinator, daemons and microscopes."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from model_library.wire.base import Message
from model_library.wire.tasks import Segment, Task
from simulations.journal import Acquisition, read_journal
from simulations.overview import WAITING, CampaignSeen, CohortSeen, ImageSeen, Overview, ScoreSeen
from simulations.workspace import QUORUM, Run, Workspace
from site_client.errors import SiteError
from site_client.status import SiteStatus, read_status

NOTHING_SEEN = Overview(campaigns=())


@dataclass(frozen=True, slots=True)
class SiteLook:
    """One site: what its microscope did, what its daemon and the coordinator say of it.

    Attributes
    ----------
    acquired
        Frames so far, of `planned`.
    campaigns
        First one first; the later ones are improvements.
    released
        The release that its channel holds.
    changes
        Whether its instrument changes, so that an improvement is expected.
    """

    name: str
    task: Task
    planned: int
    every_n: int
    acquired: tuple[Acquisition, ...]
    status: SiteStatus | None
    campaigns: tuple[CampaignSeen, ...]
    released: str | None
    changes: bool = False

    @property
    def campaign(self) -> CampaignSeen | None:
        """The latest campaign."""
        return self.campaigns[-1] if self.campaigns else None

    @property
    def uses_released(self) -> bool:
        """Whether the daemon uses what its channel holds."""
        service = None if self.status is None else self.status.in_service
        return self.released is not None and service is not None and service.release_id == self.released

    @property
    def settled(self) -> bool:
        """Whether its campaigns have ended, and what they led to is in use."""
        return bool(self.campaigns) and not self._campaigns_wait()

    @property
    def images(self) -> tuple[ImageSeen, ...]:
        """All images that the coordinator has of it."""
        found = {
            (each.purpose, each.sequence): each for campaign in self.campaigns for each in campaign.images
        }
        return tuple(found.values())

    @property
    def monitoring(self) -> tuple[ScoreSeen, ...]:
        """The scores of its returned images, by sequence."""
        found = {each.sequence: each for campaign in self.campaigns for each in campaign.monitoring}
        return tuple(found[sequence] for sequence in sorted(found))

    def fields(self, *splits: str) -> frozenset[str]:
        """Collect the fields of view in some splits."""
        return frozenset(image.field for image in self.images if image.split in splits)

    def waiting_for(self) -> tuple[str, ...]:
        """Say in words what is still to come; empty where the site is done."""
        if self.status is None or not self.campaigns:
            return ("its daemon to start",)
        frames = self.status.frames
        due = (frames.acquired - self._never_frames()) // self.every_n
        checks = (
            (self.planned - len(self.acquired), "frames to be acquired"),
            (len(self.acquired) - frames.acquired, "frames to be noticed"),
            (frames.waiting, "frames to be reconstructed"),
            (due - frames.returned, "frames to be returned"),
            (due - len(self.monitoring), "returned frames to be scored"),
        )
        counted = tuple(f"{count} {words}" for count, words in checks if count > 0)
        return (*counted, *self._campaigns_wait(), *self._improvement_waits())

    def _campaigns_wait(self) -> tuple[str, ...]:
        under_way = [each for each in self.campaigns if not each.ended and not self._starves(each)]
        if under_way:
            return tuple(f"its campaign {each.number}: {each.stage}" for each in under_way)
        if not self.uses_released and not self.campaigns[-1].failed:
            return ("its release to be installed",)
        if self.campaigns[-1].releases and self.campaigns[-1].releases[-1].installed_at is None:
            return ("its coordinator to hear that the release is installed",)
        return ()

    def _improvement_waits(self) -> tuple[str, ...]:
        improved = any(each.number > 1 and each.ended for each in self.campaigns)
        return ("its drift to be noticed and answered",) if self.changes and not improved else ()

    def _starves(self, campaign: CampaignSeen) -> bool:
        """Whether a false alarm asked for more images than this microscope will ever acquire."""
        asked = campaign.requested
        if campaign.stage != WAITING or campaign.number == 1 or asked is None or self.changes:
            return False
        return self.planned < int(asked["from_sequence"]) + int(asked["count"]) - 1

    def _never_frames(self) -> int:
        assert self.status is not None
        return sum(each.sequence is None for each in self.status.set_aside)


@dataclass(frozen=True, slots=True)
class Look:
    """All sites at one moment; `at_s` since the run began."""

    at_s: float
    sites: tuple[SiteLook, ...]
    overview: Overview = field(default=NOTHING_SEEN)

    @property
    def done(self) -> bool:
        """Whether nothing is waited for any more."""
        return not self.waiting_for()

    def waiting_for(self) -> tuple[str, ...]:
        """Say in words what is still to come, and where."""
        sites = [f"{site.name}: {words}" for site in self.sites for words in site.waiting_for()]
        under_way = [
            f"{each.cohort}: its federation: {each.stage}"
            for each in self.overview.federations
            if not each.ended
        ]
        due = [
            f"{each.id}: its federation to begin"
            for each in self.overview.cohorts
            if self.awaits_federation(each) and not self.overview.federations_of(each)
        ]
        return (*sites, *under_way, *due)

    def awaits_federation(self, cohort: CohortSeen) -> bool:
        """Whether a cohort has enough willing members, and none of its federations has ended."""
        ended = any(each.ended for each in self.overview.federations_of(cohort))
        return len(cohort.willing) >= QUORUM and not ended

    def federation_over(self, site: SiteLook) -> bool:
        """Whether a site need not wait for a federation: all like it are settled, and none is due."""
        if isinstance(site.task, Segment):
            return True
        if not all(each.settled for each in self._alike(site)):
            return False
        cohorts = [each for each in self.overview.cohorts if site.name in each.sites]
        under_way = [each for each in self.overview.federations if not each.ended]
        return not under_way and not any(self.awaits_federation(each) for each in cohorts)

    def _alike(self, site: SiteLook) -> Sequence[SiteLook]:
        return [each for each in self.sites if each.task == site.task]


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
    """Look at every site once."""
    seen = overview or NOTHING_SEEN
    sites = []
    for site in run.scenario.sites:
        instrument = seen.instrument(site.name)
        sites.append(
            SiteLook(
                name=site.name,
                task=site.task,
                planned=site.frames,
                every_n=run.every_n,
                acquired=read_journal(workspace.microscope(site.name, "jsonl")),
                status=_status(workspace.site(site.name)),
                campaigns=seen.of(site.name),
                released=None if instrument is None else instrument.release_id,
                changes=site.change is not None,
            )
        )
    return Look(at_s, tuple(sites), seen)


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
