"""What is kept of a federation: its beginning, its stages and the names of what it found."""

from enum import StrEnum

from pydantic import Field

from coordinator.verdicts import FEDERATED_GATES, PERSONAL_GATES
from model_library.networks.config import NetworkConfig
from model_library.wire.base import Message
from model_library.wire.methods import NetworkRef
from model_library.wire.tasks import Task

_MARGIN_S = 120.0
"""For starting and restarting the engine."""


class Stage(StrEnum):
    """What a federation is doing, in this order."""

    ASSEMBLING = "assembling"
    ROUNDS = "rounds"
    GATES = "gates"
    RELEASES = "releases"
    DONE = "done"
    FAILED = "failed"


class Finding(StrEnum):
    """One thing that a federation found; gates, those not judged and releases are instrument -> record."""

    START = "start"
    RUNS = "runs"
    ROUNDS = "rounds"
    NETWORK = "network"
    FAILURE = "failure"
    GATES = FEDERATED_GATES
    PERSONAL_GATES = PERSONAL_GATES
    NOT_JUDGED = "not_judged"
    PERSONAL = "personal"
    MATRIX = "matrix"
    RELEASES = "releases"
    STOPPED = "stopped"


class Invited(Message):
    """A member of a federation, and what it brings: frames, and the network in service or best known."""

    instrument_id: str
    site: str
    network: NetworkRef
    acquired: int = Field(ge=0)


class Start(Message):
    """What a federation begins with, fixed when it is opened; times in seconds."""

    task: Task
    config: NetworkConfig
    pixel_size_nm: tuple[float, float] | None
    members: tuple[Invited, ...] = Field(min_length=1)
    quorum: int = Field(ge=1)
    rounds: int = Field(ge=1)
    assemble_s: float = Field(gt=0)
    round_s: float = Field(gt=0)

    @property
    def longest_s(self) -> float:
        """How long the rounds may last: a round has two attempts, each of which may wait for members."""
        rounds_s = 2 * self.rounds * (self.assemble_s + self.round_s)
        # The round after the last is that of the own versions.
        return self.assemble_s + rounds_s + self.round_s + _MARGIN_S
