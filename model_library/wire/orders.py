"""The conversation that repeats: a site reports its state, the coordinator answers with orders."""

from pydantic import Field

from model_library.wire.base import WIRE_VERSION, Message
from model_library.wire.methods import MethodRef


class FrameCounts(Message):
    """Frames of one site; acquired = reconstructed + waiting + set_aside, always."""

    acquired: int = Field(ge=0)
    reconstructed: int = Field(ge=0)
    waiting: int = Field(ge=0)
    set_aside: int = Field(ge=0)
    returned: int = Field(ge=0)


class Heartbeat(Message):
    """What a site daemon tells the coordinator every few seconds."""

    wire_version: int = WIRE_VERSION
    frames: FrameCounts
    release_id: str | None = None
    method: MethodRef | None = None
    throughput_mpix_per_s: float | None = Field(default=None, ge=0)
    acquisition_mpix_per_s: float | None = Field(default=None, ge=0)


class Orders(Message):
    """What the coordinator wants of a site; the site may refuse, never the other way round.

    `first_images`: how many of its first frames the campaign asks for. `every_n`: every N-th
    accepted frame is returned for benchmarks. `release_id`: what the instrument's channel holds.
    """

    first_images: int = Field(ge=0, le=200)
    every_n: int = Field(ge=1)
    release_id: str | None = None
