"""The tables; nothing outside `coordinator.store` sees a row."""

from sqlmodel import Field, SQLModel, UniqueConstraint


class EnrolTokenRow(SQLModel, table=True):
    """A one-time token, by its digest only."""

    digest: str = Field(primary_key=True)
    created_at: float
    expires_at: float
    used_at: float | None = None
    instrument_id: str | None = None


class OperatorTokenRow(SQLModel, table=True):
    """The operator's credential, by its digest only."""

    digest: str = Field(primary_key=True)
    created_at: float


class AssertionRow(SQLModel, table=True):
    """An assertion that has bought a token; it buys none again."""

    instrument_id: str = Field(primary_key=True)
    jti: str = Field(primary_key=True)
    expires_at: float = Field(index=True)


class InstrumentRow(SQLModel, table=True):
    """An enrolled identity."""

    id: str = Field(primary_key=True)
    site_name: str
    task: str
    pixel_size_nm: float | None = None
    public_key_pem: str
    enrolled_at: float
    revoked_at: float | None = None
    last_seen_at: float | None = None
    heartbeat: str | None = None


class UploadRow(SQLModel, table=True):
    """A tus upload."""

    __table_args__ = (UniqueConstraint("instrument_id", "purpose", "sequence"),)

    id: str = Field(primary_key=True)
    instrument_id: str
    purpose: str
    sequence: int
    declaration: str
    offset: int = 0
    expires_at: float
    state: str
    refusal: str | None = None


class FieldRow(SQLModel, table=True):
    """The split of a field of view of an instrument, for good."""

    instrument_id: str = Field(primary_key=True)
    field: str = Field(primary_key=True)
    split: str


class ImageRow(SQLModel, table=True):
    """An accepted image; `acquisition` is what its site told of how it was acquired, as JSON."""

    __table_args__ = (UniqueConstraint("instrument_id", "purpose", "sequence"),)

    id: int | None = Field(default=None, primary_key=True)
    instrument_id: str
    purpose: str
    sequence: int
    field: str
    split: str
    sha256: str = Field(index=True)
    bytes: int
    file_name: str
    pixel_size_nm: float | None = None
    acquisition: str | None = None
    accepted_at: float
    release_id: str | None = None


class AnnotationRow(SQLModel, table=True):
    """What annotators drew on an image, as a CVAT file of this image alone."""

    instrument_id: str = Field(primary_key=True)
    sha256: str = Field(primary_key=True)
    drawing: str
    shapes: int
    source: str
    imported_at: float


class CampaignRow(SQLModel, table=True):
    """A campaign."""

    __table_args__ = (UniqueConstraint("instrument_id", "number"),)

    id: str = Field(primary_key=True)
    instrument_id: str
    number: int
    stage: str
    trigger: str
    from_sequence: int
    created_at: float


class FederationRow(SQLModel, table=True):
    """A federation; `start` is what it began with, as JSON."""

    id: str = Field(primary_key=True)
    number: int = Field(unique=True)
    cohort: str
    stage: str
    created_at: float
    ended_at: float | None = None
    start: str


class QuarantineLiftRow(SQLModel, table=True):
    """When the operator last ended an instrument's quarantine; offences before do not count."""

    instrument_id: str = Field(primary_key=True)
    at: float


class EventRow(SQLModel, table=True):
    """A line of a campaign's history; `key` makes repeating a step harmless."""

    __table_args__ = (UniqueConstraint("campaign_id", "key"),)

    id: int | None = Field(default=None, primary_key=True)
    campaign_id: str
    key: str
    at: float
    stage: str
    text: str


class FindingRow(SQLModel, table=True):
    """Something a campaign found, as JSON."""

    campaign_id: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    body: str


class ReleaseRow(SQLModel, table=True):
    """A release."""

    __table_args__ = (
        UniqueConstraint("campaign_id", "purpose", "instrument_id"),
        UniqueConstraint("instrument_id", "number"),
    )

    id: str = Field(primary_key=True)
    instrument_id: str
    campaign_id: str
    purpose: str
    number: int
    manifest: str
    created_at: float
    published_at: float | None = None
    installed_at: float | None = None


class ScoreRow(SQLModel, table=True):
    """How the method in service did on one returned image."""

    image_id: int = Field(primary_key=True)
    instrument_id: str
    sequence: int
    release_id: str | None = None
    method: str | None = None
    metric: str
    score: float | None = None
    reason: str | None = None
    at: float


class ReferenceScoreRow(SQLModel, table=True):
    """How a classical algorithm did on a returned image, which the method in service is held against."""

    image_id: int = Field(primary_key=True)
    instrument_id: str = Field(index=True)
    method: str
    score: float


class PerfectScoreRow(SQLModel, table=True):
    """What a perfect result would score on a returned image."""

    image_id: int = Field(primary_key=True)
    instrument_id: str = Field(index=True)
    score: float


class ObservationRow(SQLModel, table=True):
    """What drift is told from on one image, as JSON."""

    image_id: int = Field(primary_key=True)
    instrument_id: str = Field(index=True)
    purpose: str
    sequence: int
    body: str


class ReturnedNetworkRow(SQLModel, table=True):
    """A network version made here that is in the library of later selections."""

    weights_sha256: str = Field(primary_key=True)
    network_id: str
    version: str
    task: str = Field(index=True)
    origin: str
    returned_at: float
