"""What the coordinator's operator sees, asked over HTTPS with the operator's token."""

import ssl
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
from pydantic import BaseModel, ConfigDict

from model_library.wire.methods import ClassicalRef, MethodRef

_DEADLINE_S = 10.0


class _Seen(BaseModel):
    """A part of the overview; what is not used here is left out."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class EventSeen(_Seen):
    """One line of a campaign's history."""

    at: datetime
    stage: str
    text: str


class ReleaseSeen(_Seen):
    """One release and when its instrument had installed it."""

    release_id: str
    purpose: str
    method: MethodRef
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


class ScoreSeen(_Seen):
    """The score of the method in service on a returned image, or why there is none."""

    sequence: int
    score: float | None
    reason: str | None


class CampaignSeen(_Seen):
    """The campaign of one instrument."""

    site: str
    instrument: str
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

    @property
    def failed(self) -> bool:
        """Whether the campaign ended without a final release."""
        return self.failure is not None

    def release(self, purpose: str) -> ReleaseSeen | None:
        """Find the release of a purpose: `first` or `final`."""
        return next((each for each in self.releases if each.purpose == purpose), None)

    def classical_refs(self) -> tuple[ClassicalRef, ...]:
        """List the classical algorithms as tuned for the instrument, best first."""
        ranking = () if self.classical is None else self.classical["ranking"]
        return tuple(ClassicalRef.model_validate(each["method"]) for each in ranking)

    def fields(self, *splits: str) -> frozenset[str]:
        """Collect the fields of view in some splits."""
        return frozenset(image.field for image in self.images if image.split in splits)


class Overview(_Seen):
    """Everything that the operator sees at one moment."""

    campaigns: tuple[CampaignSeen, ...]

    def of(self, site: str) -> CampaignSeen | None:
        """Find the campaign of a site; None before it enrolled."""
        return next((each for each in self.campaigns if each.site == site), None)


class Operator:
    """Asks a coordinator on this machine.

    Parameters
    ----------
    data
        The coordinator's folder, which holds the operator's token and the CA certificate.
    port
        Where it serves.
    """

    def __init__(self, data: Path, port: int) -> None:
        context = ssl.create_default_context(cafile=str(data / "tls" / "ca.pem"))
        token = (data / "operator.token").read_text(encoding="utf-8").strip()
        self._client = httpx.Client(
            base_url=f"https://127.0.0.1:{port}/v1",
            verify=context,
            headers={"Authorization": f"Bearer {token}"},
            timeout=_DEADLINE_S,
            trust_env=False,
        )

    def is_up(self) -> bool:
        """Whether the coordinator answers."""
        try:
            return self._client.get("/health").is_success
        except httpx.TransportError:
            return False

    def overview(self) -> Overview | None:
        """Look; None where the coordinator does not answer in time (it may be starting again)."""
        try:
            answer = self._client.get("/overview")
        except httpx.TransportError:
            return None
        return Overview.model_validate_json(answer.raise_for_status().content)

    def enrolment_token(self) -> str:
        """Make a one-time enrolment token."""
        token: str = self._client.post("/enrol-tokens").raise_for_status().json()["token"]
        return token

    def close(self) -> None:
        """Close the connection."""
        self._client.close()
