"""Frozen values that the repositories return; times are seconds since 1970 (UTC)."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from benchmark.observation import Observation
from benchmark.splits import Split
from model_library.cards.release import ReleaseManifest
from model_library.wire.images import AcquisitionFacts, ImageDeclaration, ImagePurpose
from model_library.wire.methods import MethodRef, NetworkRef
from model_library.wire.orders import Heartbeat
from model_library.wire.tasks import Task


@dataclass(frozen=True, slots=True)
class Instrument:
    """One enrolled identity."""

    id: str
    site_name: str
    task: Task
    pixel_size_nm: float | None
    public_key_pem: str
    enrolled_at: float
    revoked_at: float | None
    last_seen_at: float | None
    heartbeat: Heartbeat | None


class UploadState(StrEnum):
    """Where an upload stands."""

    OPEN = "open"
    ACCEPTED = "accepted"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Upload:
    """One tus upload; `offset` counts the bytes that are durable."""

    id: str
    instrument_id: str
    declaration: ImageDeclaration
    offset: int
    expires_at: float
    state: UploadState
    refusal: str | None


@dataclass(frozen=True, slots=True)
class StoredImage:
    """One accepted image.

    `release_id` is what was in service when it arrived, `acquisition` what its site told of how it was made.
    """

    id: int
    instrument_id: str
    purpose: ImagePurpose
    sequence: int
    field: str
    split: Split
    sha256: str
    bytes: int
    file_name: str
    pixel_size_nm: float | None
    accepted_at: float
    release_id: str | None
    acquisition: AcquisitionFacts | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a campaign's history."""

    at: float
    stage: str
    text: str


class Trigger(StrEnum):
    """Why a campaign was opened."""

    ENROLMENT = "enrolment"
    DRIFT = "drift"
    PACE = "pace"


@dataclass(frozen=True, slots=True)
class Opening:
    """A campaign to be: its number (from 1), why, and the frame from which it asks for images."""

    instrument_id: str
    number: int = 1
    trigger: Trigger = Trigger.ENROLMENT
    from_sequence: int = 1

    @property
    def campaign_id(self) -> str:
        """Id of the campaign and of its workflow."""
        return f"campaign-{self.instrument_id}-{self.number}"


@dataclass(frozen=True, slots=True)
class Campaign:
    """One campaign with its history and what it found; `findings` are JSON objects by name.

    Its first images are accepted frames from `from_sequence` on.
    """

    id: str
    instrument_id: str
    number: int
    stage: str
    trigger: Trigger
    from_sequence: int
    created_at: float
    events: tuple[Event, ...]
    findings: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Federation:
    """One federation with its history and what it found; `start` is a `records.Start` as JSON."""

    id: str
    number: int
    cohort: str
    stage: str
    created_at: float
    ended_at: float | None
    start: str
    events: tuple[Event, ...]
    findings: Mapping[str, Any]


class ReleasePurpose(StrEnum):
    """Which of a campaign's two releases, or that of a federation: the common network or an own version."""

    FIRST = "first"
    FINAL = "final"
    FEDERATED = "federated"
    PERSONAL = "personal"


@dataclass(frozen=True, slots=True)
class Release:
    """One release; it counts from `published_at` on. `campaign_id` may be that of a federation."""

    id: str
    instrument_id: str
    campaign_id: str
    purpose: ReleasePurpose
    manifest: ReleaseManifest
    created_at: float
    published_at: float | None
    installed_at: float | None


@dataclass(frozen=True, slots=True)
class MonitoringScore:
    """How the method in service did on one returned image; without a score, `reason` says why.

    `reference` is the classical algorithm that it is held against on the same image, where there is one;
    `perfect` what a perfect result would score there, where that is known.
    """

    image_id: int
    instrument_id: str
    sequence: int
    release_id: str | None
    method: MethodRef | None
    metric: str
    score: float | None
    reason: str | None
    at: float
    reference: MethodRef | None = None
    reference_score: float | None = None
    perfect: float | None = None


@dataclass(frozen=True, slots=True)
class ReturnedNetwork:
    """A network version made here that later selections can choose; `origin` is who made it."""

    ref: NetworkRef
    origin: str
    returned_at: float


@dataclass(frozen=True, slots=True)
class StoredObservation:
    """What drift is told from on one image."""

    image_id: int
    instrument_id: str
    purpose: ImagePurpose
    sequence: int
    seen: Observation
