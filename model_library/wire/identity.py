"""Enrolment and tokens (RFC 7523: a signed assertion buys a short-lived access token)."""

from pydantic import Field

from model_library.wire.base import Message
from model_library.wire.tasks import Task


class EnrolRequest(Message):
    """A one-time token traded for an identity; the private key never leaves the instrument."""

    token: str = Field(max_length=200)
    site_name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    task: Task
    pixel_size_nm: float | None = Field(default=None, gt=0)
    public_key_pem: str = Field(max_length=2000)


class EnrolReply(Message):
    """The identity, and the root of trust for releases (TUF root metadata, as JSON text)."""

    instrument_id: str
    tuf_root: str


class TokenRequest(Message):
    """Proof of possession: a JWT signed with the instrument's key (ES384)."""

    grant_type: str = "urn:ietf:params:oauth:grant-type:jwt-bearer"
    assertion: str = Field(max_length=4000)


class TokenReply(Message):
    """A bearer token and its life."""

    access_token: str
    expires_in_s: int
