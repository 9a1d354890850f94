"""What every message has in common."""

from pydantic import BaseModel, ConfigDict

WIRE_VERSION = 4
"""Sent by every site in its heartbeat; the coordinator refuses another one."""


class Message(BaseModel):
    """A frozen, strict value; unknown fields, NaN and infinity are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
