"""What a run comes to, as JSON."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import Field

from benchmark.metrics import Metric
from model_library.wire.base import Message
from model_library.wire.methods import MethodRef
from simulations.audit import Audited
from simulations.closing import Closed
from simulations.demo import Ended
from simulations.fleet import task_in_words
from simulations.journal import rate_mpix_per_s
from simulations.operator_view import CampaignSeen
from simulations.truth_scores import UNTREATED, SiteScores

CLASSICAL = "a classical algorithm"
_ASSIGNED = {"network": "a network", "classical": CLASSICAL}


class MethodName(Message):
    """A method by id and version."""

    id: str
    version: str


class Methods(Message):
    """What came into service first, and what is in service at the end."""

    first: MethodName | None
    final: MethodName | None


class Frames(Message):
    """acquired = reconstructed + waiting + set_aside; `returned` is every `every_n`-th."""

    acquired: int
    reconstructed: int
    waiting: int
    set_aside: int
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


class SiteOutcome(Message):
    """One site."""

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


class ReleaseOutcome(Message):
    """One release and the instruments that had installed it."""

    release_id: str
    site: str
    purpose: str
    method: MethodName
    reasons: tuple[str, ...]
    instruments: tuple[str, ...]


class Moment(Message):
    """One line of the timeline; `at_s` since the run began."""

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


def outcome(ended: Ended, closed: Sequence[Closed], duration_s: float) -> Outcome:
    """Put together what the run came to."""
    campaigns = [each.seen.campaign for each in closed if each.seen.campaign is not None]
    faults = [
        f"{each.site.name}: {one.result}: {one.fault}" for each in closed for one in each.audited if one.fault
    ]
    failures = [f"{each.site}: {_failure(each)}" for each in campaigns if each.failed]
    waiting = (*ended.waiting, *failures, *faults)
    return Outcome(
        duration_s=round(duration_s, 1),
        complete=not waiting,
        waiting=waiting,
        resumed=ended.resumed,
        seed=ended.run.scenario.seed,
        sites=tuple(_site(each) for each in closed),
        selection=tuple({"site": each.site, **each.selection} for each in campaigns if each.selection),
        gates=tuple({"site": each.site, **gate} for each in campaigns for gate in each.gates),
        releases=tuple(release for each in campaigns for release in _releases(each)),
        monitoring=tuple(
            {"site": each.site, **score.model_dump()} for each in campaigns for score in each.monitoring
        ),
        timeline=timeline(campaigns),
    )


def timeline(campaigns: Sequence[CampaignSeen]) -> tuple[Moment, ...]:
    """List the events of all campaigns, in order, counted from the first."""
    events = sorted(
        (event.at, each.site, event.stage, event.text) for each in campaigns for event in each.events
    )
    begun = events[0][0] if events else datetime.now(UTC)
    return tuple(
        Moment(at_s=round((at - begun).total_seconds(), 2), site=site, stage=stage, text=text)
        for at, site, stage, text in events
    )


def _site(closed: Closed) -> SiteOutcome:
    site, seen = closed.site, closed.seen
    status, campaign = seen.status, seen.campaign
    first = None if campaign is None else campaign.release("first")
    service = None if status is None else status.in_service
    counts = {} if status is None else status.frames.model_dump()
    none = dict.fromkeys(("acquired", "reconstructed", "waiting", "set_aside", "returned"), 0)
    return SiteOutcome(
        name=site.name,
        task=task_in_words(site.task),
        simulated=site.told,
        frames=Frames(**{**none, **counts}, every_n=seen.every_n),
        method=Methods(
            first=None if first is None else _name(first.method),
            final=None if service is None else _name(service.method),
        ),
        assigned="nothing" if service is None else _ASSIGNED[service.method.kind],
        reason=_last_reason(campaign),
        scores=None if closed.scores is None else _scores(closed.scores),
        throughput_mpix_per_s=None if status is None else status.throughput_mpix_per_s,
        acquisition_mpix_per_s=rate_mpix_per_s(seen.acquired),
        backlog_max=0 if status is None else status.backlog_max,
        bytes_out={} if status is None else {str(kind): count for kind, count in status.bytes_out.items()},
        set_aside=() if status is None else tuple(each.model_dump() for each in status.set_aside),
        audited=closed.audited,
        campaign="none" if campaign is None else campaign.stage,
        failure=None if campaign is None else _failure(campaign),
    )


def _last_reason(campaign: CampaignSeen | None) -> str | None:
    """Quote what decided at the last sitting of the gate."""
    return None if campaign is None or not campaign.gates else str(campaign.gates[-1]["reasons"][0])


def _failure(campaign: CampaignSeen) -> str | None:
    return None if campaign.failure is None else f"{campaign.failure['stage']}: {campaign.failure['reason']}"


def _name(ref: MethodRef) -> MethodName:
    return MethodName(id=ref.id, version=ref.version)


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


def _releases(campaign: CampaignSeen) -> tuple[ReleaseOutcome, ...]:
    return tuple(
        ReleaseOutcome(
            release_id=each.release_id,
            site=campaign.site,
            purpose=each.purpose,
            method=_name(each.method),
            reasons=each.reasons,
            instruments=() if each.installed_at is None else (campaign.instrument,),
        )
        for each in campaign.releases
    )
