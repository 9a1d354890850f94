"""The conversation that repeats: a site reports its state, the coordinator answers with orders."""

from typing import Annotated

from pydantic import Field, StringConstraints

from model_library.wire.base import WIRE_VERSION, Message
from model_library.wire.compute import ComputeFacts
from model_library.wire.federation import Invitation
from model_library.wire.methods import MethodRef

_Name = Annotated[str, StringConstraints(max_length=100)]


class FrameCounts(Message):
    """Frames of one site; acquired = reconstructed + waiting + set_aside + skipped, always."""

    acquired: int = Field(ge=0)
    reconstructed: int = Field(ge=0)
    waiting: int = Field(ge=0)
    set_aside: int = Field(ge=0)
    skipped: int = Field(default=0, ge=0)
    returned: int = Field(ge=0)


class Heartbeat(Message):
    """What a site daemon tells the coordinator every few seconds.

    `federates`: its owner lets it adapt networks to its own images when a federation invites it.
    `wants_faster`: frames come faster than the method in service can do, and pile up.
    `compute`: what `synoptic site calibrate` measured, where it did.
    `acquiring`: the microscope's software says that it acquires. `paused`: a person has paused or drains
    the site, which takes part in nothing until that is taken back.
    `software`: versions by name.
    """

    wire_version: int = WIRE_VERSION
    frames: FrameCounts
    release_id: str | None = None
    method: MethodRef | None = None
    throughput_mpix_per_s: float | None = Field(default=None, ge=0)
    acquisition_mpix_per_s: float | None = Field(default=None, ge=0)
    federates: bool = False
    wants_faster: bool = False
    compute: ComputeFacts | None = None
    acquiring: bool = False
    paused: bool = False
    software: dict[_Name, _Name] = Field(default_factory=dict, max_length=20)


class ImageRequest(Message):
    """The first images that a campaign asks for: `count` accepted frames from `from_sequence` on."""

    campaign: int = Field(ge=1)
    from_sequence: int = Field(ge=1)
    count: int = Field(ge=0, le=200)


class Orders(Message):
    """What the coordinator wants of a site; the site may refuse, never the other way round.

    `first_images`: what its campaigns ask for, oldest first. `every_n`: every N-th accepted frame
    is returned for benchmarks. `release_id`: what the instrument's channel holds. `invitation`:
    the federation to take part in now; without one the site runs nothing of Flower's.
    """

    first_images: tuple[ImageRequest, ...] = Field(max_length=64)
    every_n: int = Field(ge=1)
    release_id: str | None = None
    invitation: Invitation | None = None
