"""A federation between the coordinator and the sites of a cohort, besides what travels over Flower."""

from typing import Literal

from pydantic import Field

from model_library.wire.base import Message
from model_library.wire.tasks import Task

Encoding = Literal["int8", "float16", "float32"]
"""How updates travel (`delta_coding`). int8: with a scale per output channel, a fifth of float32's bytes."""


class Invitation(Message):
    """Asks an instrument to adapt a network to its own images, together with others.

    `ends_in_s` counts from the message: whatever happens, the federation is over by then.
    """

    federation_id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    task: Task
    rounds: int = Field(ge=1)
    ends_in_s: float = Field(gt=0)


class FieldClaim(Message):
    """Fields of view (`benchmark.splits.field_key`) that a site has frames of."""

    fields: tuple[str, ...] = Field(max_length=20_000)


class FieldGrant(Message):
    """Those of the claimed fields that are for tuning; on all others the site must not train."""

    tuning: tuple[str, ...]
