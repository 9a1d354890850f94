"""What the fleet as a whole came to: drifts and what answered them, federated rounds, cohorts."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from pydantic import Field

from model_library.wire.base import Message
from model_library.wire.methods import MethodRef
from simulations.closing import Closed
from simulations.overview import CohortSeen, DriftSeen, FederationSeen, Overview
from simulations.replacements import Improved, Shared
from simulations.truth_scores import PairScores


class MethodName(Message):
    """A method by id and version."""

    id: str
    version: str


class DriftOutcome(Message):
    """One drift: what the coordinator noticed, and when the instrument really changed.

    Sequences count accepted frames from 1. `true_onset_sequence` is None where nothing changed: a
    false alarm. `at_s` counts from the first event of the run.
    """

    site: str
    feature: str
    onset_sequence: int
    detected_sequence: int
    true_onset_sequence: int | None
    before: float
    after: float
    statistic: float
    threshold: float
    at_s: float | None


class ReplacementScores(Message):
    """Held-out frames acquired after the change, against the truth; the difference is after - before."""

    metric: str
    before: float | None
    after: float | None
    difference: float | None
    difference_ci95: tuple[float, float] | None
    frames: int
    fields: int


class ImprovementOutcome(Message):
    """One improvement campaign: what was in service, and what is since."""

    site: str
    trigger: str
    campaign: int
    before: MethodName
    after: MethodName
    replaced: bool
    reasons: tuple[str, ...]
    scores: ReplacementScores | None


class Refused(Message):
    """A site whose update did not count, and why."""

    site: str
    cause: str


class RoundOutcome(Message):
    """One federated round; names are of sites."""

    federation: str
    number: int
    eligible: tuple[str, ...]
    contributed: tuple[str, ...]
    refused: tuple[Refused, ...]
    seconds: float
    train_seconds: float
    bytes_up: int
    bytes_down: int


class CohortSite(Message):
    """One site of a cohort: what the gate decided, and what the truth says of it.

    `difference_to_local` is the federated network minus what was released at the site before, on
    held-out report frames, over fields, in dB.
    """

    site: str
    took_part: bool
    assigned: str | None
    reasons: tuple[str, ...]
    difference_to_local: float | None
    difference_ci95: tuple[float, float] | None
    fields: int


class LatestFederation(Message):
    """The latest federation of a cohort; `matrix`: every site's network on every site's benchmark images."""

    id: str
    state: str
    failure: str | None
    network: MethodName | None
    start: dict[str, Any] | None
    rounds: int
    took_no_part: tuple[str, ...]
    matrix: dict[str, Any] | None = None


class CohortOutcome(Message):
    """Instruments that can share a network, and whether they do."""

    id: str
    task: dict[str, Any]
    architecture: str
    pixel_size_nm: tuple[float, float] | None
    instruments: tuple[str, ...]
    federation: LatestFederation | None
    sites: tuple[CohortSite, ...] = Field(default=())


def name_of(ref: MethodRef) -> MethodName:
    """Name a method."""
    return MethodName(id=ref.id, version=ref.version)


def begun_at(overview: Overview) -> datetime | None:
    """Tell when the first event of the run was."""
    told: Iterable[Any] = (*overview.campaigns, *overview.federations)
    return min((event.at for each in told for event in each.events), default=None)


def drifts(overview: Overview, closed: Sequence[Closed]) -> tuple[DriftOutcome, ...]:
    """List the drifts that the coordinator noticed, in the order of the sites."""
    begun = begun_at(overview)
    return tuple(
        _drift(campaign.drift, each, begun)
        for each in closed
        for campaign in each.seen.campaigns
        if campaign.drift is not None
    )


def _drift(drift: DriftSeen, closed: Closed, begun: datetime | None) -> DriftOutcome:
    change = closed.site.change
    true = change.at_frame + 1 if change is not None and drift.detected_sequence > change.at_frame else None
    at_s = None if begun is None or drift.at is None else (drift.at - begun).total_seconds()
    return DriftOutcome(
        site=closed.site.name,
        **drift.model_dump(exclude={"at"}),
        true_onset_sequence=true,
        at_s=None if at_s is None else round(at_s, 2),
    )


def improvements(closed: Sequence[Closed]) -> tuple[ImprovementOutcome, ...]:
    """List what improvement campaigns came to."""
    return tuple(_improvement(each.site.name, one) for each in closed for one in each.improved)


def _improvement(site: str, found: Improved) -> ImprovementOutcome:
    return ImprovementOutcome(
        site=site,
        trigger=found.trigger,
        campaign=found.campaign,
        before=name_of(found.before),
        after=name_of(found.after),
        replaced=found.replaced,
        reasons=found.reasons,
        scores=None if found.scores is None else _pair(found.scores),
    )


def _pair(found: PairScores) -> ReplacementScores:
    return ReplacementScores(
        metric=str(found.metric),
        before=found.before,
        after=found.after,
        difference=None if found.difference is None else found.difference.difference,
        difference_ci95=None if found.difference is None else found.difference.ci95,
        frames=found.frames,
        fields=found.fields,
    )


def rounds(overview: Overview) -> tuple[RoundOutcome, ...]:
    """List every federated round."""
    return tuple(
        RoundOutcome(federation=each.id, **{key: one[key] for key in _ROUND_KEYS})
        for each in overview.federations
        for one in each.rounds
    )


_ROUND_KEYS = tuple(key for key in RoundOutcome.model_fields if key != "federation")


def cohorts(overview: Overview, closed: Sequence[Closed]) -> tuple[CohortOutcome, ...]:
    """List the cohorts with their latest federations."""
    return tuple(_cohort(each, overview, closed) for each in overview.cohorts)


def _cohort(cohort: CohortSeen, overview: Overview, closed: Sequence[Closed]) -> CohortOutcome:
    federations = overview.federations_of(cohort)
    federation = federations[-1] if federations else None
    sites = (
        ()
        if federation is None
        else tuple(
            _cohort_site(each, federation)
            for each in closed
            if each.site.name in cohort.sites | federation.members
        )
    )
    return CohortOutcome(
        id=cohort.id,
        task=cohort.task,
        architecture=cohort.architecture,
        pixel_size_nm=cohort.pixel_size_nm,
        instruments=tuple(each.id for each in cohort.instruments),
        federation=None if federation is None else _federation(federation),
        sites=sites,
    )


def _federation(seen: FederationSeen) -> LatestFederation:
    network = seen.network
    return LatestFederation(
        id=seen.id,
        state=seen.stage,
        failure=failure_of(seen),
        network=None if network is None else MethodName(id=network["id"], version=network["version"]),
        start=seen.start,
        rounds=len(seen.rounds),
        took_no_part=seen.took_no_part,
        matrix=seen.matrix,
    )


def failure_of(seen: FederationSeen) -> str | None:
    """Say why a federation failed; None where it did not."""
    match seen.failure:
        case None | str() as told:
            return told
        case told:
            return f"{told.get('stage', seen.stage)}: {told.get('reason', told.get('cause', told))}"


def _cohort_site(closed: Closed, federation: FederationSeen) -> CohortSite:
    shared: Shared | None = closed.shared
    name = closed.site.name
    scores = None if shared is None else shared.scores
    difference = None if scores is None else scores.difference
    contributed = any(name in each["contributed"] for each in federation.rounds)
    return CohortSite(
        site=name,
        took_part=contributed,
        assigned=None if shared is None else "federated" if shared.assigned else "own",
        reasons=() if shared is None else shared.reasons,
        difference_to_local=None if difference is None else difference.difference,
        difference_ci95=None if difference is None else difference.ci95,
        fields=0 if scores is None else scores.fields,
    )
