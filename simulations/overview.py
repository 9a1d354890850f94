"""What the coordinator's operator sees at one moment, as far as the simulations use it."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, field_validator

from model_library.wire.methods import ClassicalRef, MethodRef

MONITORING, WAITING = "monitoring", "waiting for first images"
_FEDERATION_ENDED = frozenset({"done", "failed"})


class _Seen(BaseModel):
    """A part of the overview; what is not used here is left out."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class EventSeen(_Seen):
    """One line of a history."""

    at: datetime
    stage: str
    text: str


class ReleaseSeen(_Seen):
    """One release and when its instrument had installed it."""

    release_id: str
    purpose: str
    method: MethodRef
    instrument: str = ""
    reasons: tuple[str, ...]
    published_at: datetime | None
    installed_at: datetime | None


class ImageSeen(_Seen):
    """One image that the coordinator has."""

    sequence: int
    purpose: str
    field: str
    split: str
    sha256: str
    file_name: str = ""


class ScoreSeen(_Seen):
    """The score of the method in service on a returned image, or why there is none.

    `reference_score` is that of the classical algorithm that it is held against.
    """

    sequence: int
    score: float | None
    reason: str | None
    metric: str | None = None
    reference_score: float | None = None
    perfect: float | None = None


class DriftSeen(_Seen):
    """The drift that opened a campaign; sequences count accepted frames from 1."""

    feature: str
    onset_sequence: int
    detected_sequence: int
    before: float
    after: float
    statistic: float
    threshold: float
    at: datetime | None = None


class ObservedSeen(_Seen):
    """What one image showed: noise relative to what a campaign measured, brightness in counts, sharpness."""

    sequence: int
    purpose: str
    noise: float
    brightness: float
    sharpness: float | None = None


class CampaignSeen(_Seen):
    """One campaign of one instrument; `trigger` says why it was begun."""

    site: str
    instrument: str
    number: int = 1
    trigger: str = "enrolment"
    requested: dict[str, int] | None = None
    drift: DriftSeen | None = None
    stage: str
    failure: dict[str, Any] | None
    events: tuple[EventSeen, ...]
    noise: dict[str, Any] | None
    selection: dict[str, Any] | None
    classical: dict[str, Any] | None
    gates: tuple[dict[str, Any], ...]
    final: dict[str, Any] | None
    releases: tuple[ReleaseSeen, ...]
    images: tuple[ImageSeen, ...]
    monitoring: tuple[ScoreSeen, ...]
    observed: tuple[ObservedSeen, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether the campaign ended without a final release."""
        return self.failure is not None

    @property
    def ended(self) -> bool:
        """Whether the coordinator will do no more in it."""
        return self.failed or self.stage == MONITORING

    def release(self, purpose: str) -> ReleaseSeen | None:
        """Find the release of a purpose: `first` or `final`."""
        return next((each for each in self.releases if each.purpose == purpose), None)

    def classical_refs(self) -> tuple[ClassicalRef, ...]:
        """List the classical algorithms as tuned for the instrument, best first."""
        ranking = () if self.classical is None else self.classical["ranking"]
        return tuple(ClassicalRef.model_validate(each["method"]) for each in ranking)


class InstrumentSeen(_Seen):
    """One enrolled instrument; `release_id` is what its channel holds."""

    id: str
    site: str
    release_id: str | None = None
    pixel_size_nm: float | None = None


class MemberSeen(_Seen):
    """One instrument of a cohort; `federates`: its owner lets it take part; `obstacle`: why it cannot now."""

    site: str
    id: str
    federates: bool = False
    pixel_size_nm: float | None = None
    obstacle: str | None = None


class CohortSeen(_Seen):
    """Instruments that can share a network."""

    id: str
    task: dict[str, Any]
    architecture: str
    pixel_size_nm: tuple[float, float] | None = None
    instruments: tuple[MemberSeen, ...]

    @property
    def sites(self) -> frozenset[str]:
        """Names of its sites."""
        return frozenset(each.site for each in self.instruments)

    @property
    def willing(self) -> frozenset[str]:
        """Names of the sites that take part in federations."""
        return frozenset(each.site for each in self.instruments if each.federates)


class FederationSeen(_Seen):
    """One federation of a cohort."""

    id: str
    cohort: str
    stage: str
    failure: dict[str, Any] | str | None = None
    events: tuple[EventSeen, ...] = ()
    rounds: tuple[dict[str, Any], ...] = ()
    start: dict[str, Any] | None = None
    network: dict[str, Any] | None = None
    gates: tuple[dict[str, Any], ...] = ()
    releases: tuple[ReleaseSeen, ...] = ()
    took_no_part: tuple[str, ...] = ()
    matrix: dict[str, Any] | None = None

    @field_validator("releases", mode="before")
    @classmethod
    def _without_those_that_stayed(cls, told: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Leave out instruments that keep their own method: nothing was released to them."""
        return [each for each in told if each.get("release_id") is not None]

    @property
    def ended(self) -> bool:
        """Whether nothing more will come of it."""
        return self.failure is not None or self.stage in _FEDERATION_ENDED

    @property
    def members(self) -> frozenset[str]:
        """Names of the sites that it invited."""
        told = [] if self.start is None else self.start.get("members", [])
        return frozenset(each["site"] for each in told)

    def gate(self, site: str) -> dict[str, Any] | None:
        """Find what the gate said of its network at a site."""
        return next((each for each in self.gates if each.get("site") == site), None)


class Overview(_Seen):
    """Everything that the operator sees at one moment."""

    campaigns: tuple[CampaignSeen, ...]
    instruments: tuple[InstrumentSeen, ...] = ()
    cohorts: tuple[CohortSeen, ...] = ()
    federations: tuple[FederationSeen, ...] = ()

    @property
    def sites(self) -> tuple[str, ...]:
        """Names of all sites that enrolled."""
        return tuple(dict.fromkeys(each.site for each in self.campaigns))

    def of(self, site: str) -> tuple[CampaignSeen, ...]:
        """List the campaigns of a site, first one first; none before it enrolled."""
        found = [each for each in self.campaigns if each.site == site]
        return tuple(sorted(found, key=lambda each: each.number))

    def instrument(self, site: str) -> InstrumentSeen | None:
        """Find the instrument of a site."""
        return next((each for each in self.instruments if each.site == site), None)

    def federations_of(self, cohort: CohortSeen) -> tuple[FederationSeen, ...]:
        """List the federations that invited sites of a cohort, which may have been named otherwise then."""
        return tuple(
            each for each in self.federations if each.cohort == cohort.id or each.members & cohort.sites
        )

    def releases_of(self, site: str) -> tuple[ReleaseSeen, ...]:
        """List all that was published for a site, in the order of publication."""
        ids = {each.instrument for each in self.of(site)}
        campaigns = [release for each in self.of(site) for release in each.releases]
        federated = [
            release for each in self.federations for release in each.releases if release.instrument in ids
        ]
        return in_order({each.release_id: each for each in (*campaigns, *federated)}.values())


def in_order(releases: Iterable[ReleaseSeen]) -> tuple[ReleaseSeen, ...]:
    """Sort published releases by when they were."""
    published = [(each.published_at, each) for each in releases if each.published_at is not None]
    return tuple(each for _, each in sorted(published, key=lambda pair: pair[0]))
