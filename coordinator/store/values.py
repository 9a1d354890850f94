"""Frozen values that the repositories return; times are seconds since 1970 (UTC)."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from benchmark.splits import Split
from model_library.cards.release import ReleaseManifest
from model_library.wire.images import ImageDeclaration, ImagePurpose
from model_library.wire.methods import MethodRef
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
    """One accepted image; `release_id` is what was in service when it arrived."""

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


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a campaign's history."""

    at: float
    stage: str
    text: str


@dataclass(frozen=True, slots=True)
class Campaign:
    """One campaign with its history and what it found; `findings` are JSON objects by name."""

    id: str
    instrument_id: str
    number: int
    stage: str
    created_at: float
    events: tuple[Event, ...]
    findings: Mapping[str, Any]


class ReleasePurpose(StrEnum):
    """Which of a campaign's two releases."""

    FIRST = "first"
    FINAL = "final"


@dataclass(frozen=True, slots=True)
class Release:
    """One release; it counts from `published_at` on."""

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
    """How the method in service did on one returned image; without a score, `reason` says why."""

    image_id: int
    instrument_id: str
    sequence: int
    release_id: str | None
    method: MethodRef | None
    metric: str
    score: float | None
    reason: str | None
    at: float
