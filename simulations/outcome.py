"""What a run comes to, as JSON."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import Field

from benchmark.metrics import Metric
from model_library.wire.base import Message
from model_library.wire.tasks import Segment, task_in_words
from simulations.audit import Audited
from simulations.closing import Closed
from simulations.demo import Ended
from simulations.fleet_outcome import (
    CohortOutcome,
    DriftOutcome,
    ImprovementOutcome,
    MethodName,
    RoundOutcome,
    cohorts,
    drifts,
    failure_of,
    improvements,
    name_of,
    rounds,
)
from simulations.journal import rate_mpix_per_s
from simulations.kept_networks import ReturnedNetwork
from simulations.overview import CampaignSeen, FederationSeen, Overview
from simulations.truth_scores import UNTREATED, SiteScores
from site_client.status import SiteStatus

CLASSICAL = "a classical algorithm"
FEDERATION = "federation"
_ASSIGNED = {"network": "a network", "classical": CLASSICAL}


class Methods(Message):
    """What came into service first, and what is in service at the end."""

    first: MethodName | None
    final: MethodName | None


class Frames(Message):
    """acquired = reconstructed + waiting + set_aside + skipped; `returned` is every `every_n`-th."""

    acquired: int
    reconstructed: int
    waiting: int
    set_aside: int
    skipped: int
    returned: int
    every_n: int


class Scores(Message):
    """Means over held-out fields; `difference_ci95` is final minus best classical, paired, 95 %."""

    metric: str
    final: float | None
    first: float | None
    best_classical: float | None
    best_classical_name: str | None
    untreated: float | None
    difference: float | None
    difference_ci95: tuple[float, float] | None
    difference_to_first: float | None
    difference_to_first_ci95: tuple[float, float] | None
    ssim: dict[str, float | None]
    frames: int
    fields: int


class SegmentationOutcome(Message):
    """A site that segments: overlap with the true masks on held-out frames, and what it counted.

    `difference` is the network in service minus the best classical algorithm, paired over fields;
    `objects` is what the site's own status says.
    """

    dice: float | None
    dice_best_classical: float | None
    best_classical: str | None
    difference: float | None
    ci95: tuple[float, float] | None
    frames: int
    objects: dict[str, Any] | None


class SiteOutcome(Message):
    """One site; `federation` is what its own status says."""

    name: str
    task: str
    simulated: str
    frames: Frames
    method: Methods
    assigned: str
    reason: str | None
    scores: Scores | None
    throughput_mpix_per_s: float | None
    acquisition_mpix_per_s: float | None
    backlog_max: int
    bytes_out: dict[str, int]
    set_aside: tuple[dict[str, Any], ...]
    audited: tuple[Audited, ...]
    campaign: str
    failure: str | None
    segmentation: SegmentationOutcome | None = None
    federation: dict[str, Any] | None = None


class ReleaseOutcome(Message):
    """One release and the instruments that had installed it."""

    release_id: str
    site: str
    purpose: str
    method: MethodName
    reasons: tuple[str, ...]
    instruments: tuple[str, ...]


class Moment(Message):
    """One line of the timeline; `at_s` since the run began; `site` may also name a cohort."""

    at_s: float
    site: str
    stage: str
    text: str


class Outcome(Message):
    """Everything that the demo's JSON says."""

    duration_s: float = Field(ge=0)
    complete: bool
    waiting: tuple[str, ...]
    resumed: bool
    seed: int
    sites: tuple[SiteOutcome, ...]
    selection: tuple[dict[str, Any], ...]
    gates: tuple[dict[str, Any], ...]
    releases: tuple[ReleaseOutcome, ...]
    monitoring: tuple[dict[str, Any], ...]
    timeline: tuple[Moment, ...]
    drift: tuple[DriftOutcome, ...] = ()
    improvements: tuple[ImprovementOutcome, ...] = ()
    rounds: tuple[RoundOutcome, ...] = ()
    cohorts: tuple[CohortOutcome, ...] = ()
    library: tuple[ReturnedNetwork, ...] = ()


def outcome(
    ended: Ended, closed: Sequence[Closed], library: Sequence[ReturnedNetwork], duration_s: float
) -> Outcome:
    """Put together what the run came to.

    Parameters
    ----------
    ended, closed
        How it ended, and what was found out about each site afterwards.
    library
        Networks that returned to the library.
    duration_s
        From start to report.
    """
    overview = ended.overview
    campaigns = [campaign for each in closed for campaign in each.seen.campaigns]
    faults = [
        f"{each.site.name}: {one.result}: {one.fault}" for each in closed for one in each.audited if one.fault
    ]
    failures = [f"{each.site}: {_failure(each)}" for each in campaigns if each.failed]
    broken = [f"{each.cohort}: {why}" for each in overview.federations if (why := failure_of(each))]
    waiting = (*ended.waiting, *failures, *broken, *faults)
    return Outcome(
        duration_s=round(duration_s, 1),
        complete=not waiting,
        waiting=waiting,
        resumed=ended.resumed,
        seed=ended.run.scenario.seed,
        sites=tuple(_site(each) for each in closed),
        selection=tuple({**_of(each), **each.selection} for each in campaigns if each.selection),
        gates=(
            *({**_of(each), **gate} for each in campaigns for gate in each.gates),
            *({"federation": each.id, **gate} for each in overview.federations for gate in each.gates),
        ),
        releases=_releases(overview, closed),
        monitoring=tuple(
            {"site": each.site.name, **score.model_dump()}
            for each in closed
            for score in each.seen.monitoring
        ),
        timeline=timeline(campaigns, overview.federations),
        drift=drifts(overview, closed),
        improvements=improvements(closed),
        rounds=rounds(overview),
        cohorts=cohorts(overview, closed),
        library=tuple(library),
    )


def _of(campaign: CampaignSeen) -> dict[str, Any]:
    return {"site": campaign.site, "campaign": campaign.number}


def timeline(
    campaigns: Sequence[CampaignSeen], federations: Sequence[FederationSeen] = ()
) -> tuple[Moment, ...]:
    """List the events of all campaigns and federations, in order, counted from the first."""
    told = [(each.site, event) for each in campaigns for event in each.events]
    told += [(FEDERATION, event) for each in federations for event in each.events]
    told.sort(key=lambda pair: (pair[1].at, pair[0], pair[1].stage, pair[1].text))
    begun = told[0][1].at if told else datetime.now(UTC)
    return tuple(
        Moment(
            at_s=round((event.at - begun).total_seconds(), 2), site=lane, stage=event.stage, text=event.text
        )
        for lane, event in told
    )


def _site(closed: Closed) -> SiteOutcome:
    site, seen = closed.site, closed.seen
    status, campaign = seen.status, seen.campaign
    first = seen.campaigns[0].release("first") if seen.campaigns else None
    service = None if status is None else status.in_service
    counts = {} if status is None else status.frames.model_dump()
    none = dict.fromkeys(("acquired", "reconstructed", "waiting", "set_aside", "skipped", "returned"), 0)
    return SiteOutcome(
        name=site.name,
        task=task_in_words(site.task),
        simulated=site.told,
        frames=Frames(**{**none, **counts}, every_n=seen.every_n),
        method=Methods(
            first=None if first is None else name_of(first.method),
            final=None if service is None else name_of(service.method),
        ),
        assigned="nothing" if service is None else _ASSIGNED[service.method.kind],
        reason=_last_reason(seen.campaigns),
        scores=None if closed.scores is None else _scores(closed.scores),
        throughput_mpix_per_s=None if status is None else status.throughput_mpix_per_s,
        acquisition_mpix_per_s=rate_mpix_per_s(seen.acquired),
        backlog_max=0 if status is None else status.backlog_max,
        bytes_out={} if status is None else {str(kind): count for kind, count in status.bytes_out.items()},
        set_aside=() if status is None else tuple(each.model_dump() for each in status.set_aside),
        audited=closed.audited,
        campaign="none" if campaign is None else campaign.stage,
        failure=None if campaign is None else _failure(campaign),
        segmentation=_segmentation(closed),
        federation=_told_by(status, "federation"),
    )


def _segmentation(closed: Closed) -> SegmentationOutcome | None:
    if not isinstance(closed.site.task, Segment):
        return None
    found = closed.scores
    difference = None if found is None else found.difference
    return SegmentationOutcome(
        dice=None if found is None else found.mean(found.final),
        dice_best_classical=None if found is None else found.mean(found.best_classical),
        best_classical=None if found is None else found.best_classical,
        difference=None if difference is None else difference.difference,
        ci95=None if difference is None else difference.ci95,
        frames=0 if found is None else found.frames,
        objects=_told_by(closed.seen.status, "segmentation"),
    )


def _told_by(status: SiteStatus | None, name: str) -> dict[str, Any] | None:
    """Take one part of a site's status as JSON."""
    found: dict[str, Any] | None = None if status is None else status.model_dump(mode="json").get(name)
    return found


def _last_reason(campaigns: Sequence[CampaignSeen]) -> str | None:
    """Quote what decided at the last sitting of the gate in a campaign."""
    gates = [gate for each in campaigns for gate in each.gates]
    return str(gates[-1]["reasons"][0]) if gates else None


def _failure(campaign: CampaignSeen) -> str | None:
    return None if campaign.failure is None else f"{campaign.failure['stage']}: {campaign.failure['reason']}"


def _scores(found: SiteScores) -> Scores:
    ssim = {scored.key: scored.means[Metric.SSIM] for scored in found.methods if Metric.SSIM in scored.means}
    ours, tuned = found.difference, found.difference_to_first
    return Scores(
        metric=str(found.metric),
        final=found.mean(found.final),
        first=found.mean(found.first),
        best_classical=found.mean(found.best_classical),
        best_classical_name=found.best_classical,
        untreated=found.mean(UNTREATED),
        difference=None if ours is None else ours.difference,
        difference_ci95=None if ours is None else ours.ci95,
        difference_to_first=None if tuned is None else tuned.difference,
        difference_to_first_ci95=None if tuned is None else tuned.ci95,
        ssim=ssim,
        frames=found.frames,
        fields=found.fields,
    )


def _releases(overview: Overview, closed: Sequence[Closed]) -> tuple[ReleaseOutcome, ...]:
    return tuple(
        ReleaseOutcome(
            release_id=release.release_id,
            site=each.site.name,
            purpose=release.purpose,
            method=name_of(release.method),
            reasons=release.reasons,
            instruments=() if release.installed_at is None else (each.seen.campaigns[0].instrument,),
        )
        for each in closed
        for release in overview.releases_of(each.site.name)
    )
