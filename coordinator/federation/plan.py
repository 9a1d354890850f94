"""What a federation is to do, what it did so far, and how it ended; as files in its folder."""

from pathlib import Path
from typing import Literal, Self, TypeVar

from pydantic import Field, ValidationError, model_validator

from coordinator.errors import CoordinatorError
from coordinator.settings.algorithms import Algorithm, FedAvg, FedBuff, FedProx, fewest_updates
from model_library.cards.adaptation import AdaptationPlan
from model_library.cards.privacy import Privacy
from model_library.images.durable import write_durably
from model_library.networks.config import NetworkConfig
from model_library.wire.base import Message
from model_library.wire.federation import Encoding
from model_library.wire.tasks import Task

PLAN_FILE, START_FILE, OUTCOME_FILE = "plan.json", "start.safetensors", "outcome.json"

_M = TypeVar("_M", bound=Message)


class FederationFileError(CoordinatorError):
    """A file that a federation needs is missing or malformed."""

    code = "federation_file"


class Member(Message):
    """An instrument that is willing to take part; its id is also its node's name in Flower.

    `offences`: rounds of earlier federations in which it sent what cannot be used.
    """

    instrument_id: str
    site: str
    offences: int = Field(default=0, ge=0)


class FederationPlan(Message):
    """Everything that the rounds depend on, fixed before the first begins.

    `assemble_s` bounds the wait for members, `round_s` one attempt at a round (a round has at most
    two). `most_examples` is the largest count that a site is believed. `clip_norm` bounds an update:
    its Euclidean norm relative to that of the weights. `encoding`, `travels`, `keeps` and `privacy` are
    as in `AdaptationPlan`. Of the members online, a `fraction` is asked in each round. Whoever has
    offended `quarantine_after` times is asked no more. With `personal_steps` every member is asked for
    its own version of the network after the last round, so many steps from the common one; 0: none is.
    """

    federation_id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    task: Task
    config: NetworkConfig
    members: tuple[Member, ...] = Field(min_length=1)
    rounds: int = Field(ge=1)
    quorum: int = Field(ge=1)
    assemble_s: float = Field(gt=0)
    round_s: float = Field(gt=0)
    steps: int = Field(ge=1)
    batch: int = Field(default=8, ge=1)
    patch_px: int = Field(default=64, ge=16)
    learning_rate: float = Field(gt=0)
    seed: int = 0
    most_examples: int = Field(default=10_000, ge=1)
    clip_norm: float = Field(default=0.5, gt=0)
    most_frames: int = Field(default=64, ge=1)
    algorithm: Algorithm = FedAvg()
    encoding: Encoding = "int8"
    travels: tuple[str, ...] | None = None
    keeps: tuple[str, ...] = ()
    fraction: float = Field(default=1.0, gt=0, le=1)
    quarantine_after: int = Field(default=3, ge=1)
    privacy: Privacy | None = None
    personal_steps: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _members_suffice(self) -> Self:
        if len({member.instrument_id for member in self.members}) < len(self.members):
            raise ValueError("expected each instrument once among the members")
        if self.quorum > len(self.members):
            raise ValueError(f"expected a quorum of at most {len(self.members)} members, found {self.quorum}")
        fewest, kind = fewest_updates(self.algorithm), self.algorithm.kind
        if self.quorum < fewest:
            raise ValueError(f"expected a quorum of at least {fewest} for {kind}, found {self.quorum}")
        if self.needed > len(self.members):
            raise ValueError(f"expected a buffer of at most {len(self.members)} updates, found {self.needed}")
        return self

    @property
    def needed(self) -> int:
        """Updates that complete a round."""
        return self.algorithm.buffer if isinstance(self.algorithm, FedBuff) else self.quorum

    @property
    def ids(self) -> frozenset[str]:
        """Instrument ids of all members."""
        return frozenset(member.instrument_id for member in self.members)

    def site(self, instrument_id: str) -> str:
        """Name of a member's site."""
        return next(member.site for member in self.members if member.instrument_id == instrument_id)

    def adaptation(self, number: int) -> AdaptationPlan:
        """Plan a round, counted from 1, as the members are told of it; after the last, the own versions."""
        personal = number > self.rounds
        return AdaptationPlan(
            federation_id=self.federation_id,
            number=number,
            rounds=self.rounds,
            kind="personal" if personal else "update",
            task=self.task,
            config=self.config,
            steps=self.personal_steps if personal else self.steps,
            batch=self.batch,
            patch_px=self.patch_px,
            learning_rate=self.learning_rate,
            seed=self.seed + number,
            most_frames=self.most_frames,
            deadline_s=self.round_s,
            encoding=self.encoding,
            travels=self.travels,
            keeps=self.keeps,
            privacy=self.privacy,
            proximal=self.algorithm.mu if isinstance(self.algorithm, FedProx) else 0.0,
        )


class Refusal(Message):
    """Why a site did not contribute."""

    site: str
    cause: str


class Evaluation(Message):
    """Mean loss at one instrument on frames that it did not train on, before and after its training."""

    before: float
    after: float
    frames: int = Field(ge=1)


class RoundRecord(Message):
    """What happened in one round; sites by name.

    `eligible` were asked; each of them is in `contributed` or in `refused`, and every other member
    in `absent`. Updates of those in `clipped` were scaled down to the bound. `offenders` (instrument
    ids) sent what cannot be used. `usual_norm` is the median norm of the updates. `evaluation` is by
    instrument id, of those that had frames to spare. `seconds` is the whole round, `train_seconds`
    the longest training among its contributions. Bytes are those of arrays, plans and reports.
    `fields` (by instrument id) are the fields of view that went into the result. `attempt` is 1 or 2.
    """

    number: int = Field(ge=1)
    started_at: float
    eligible: tuple[str, ...]
    contributed: tuple[str, ...]
    refused: tuple[Refusal, ...]
    clipped: tuple[str, ...] = ()
    seconds: float = Field(ge=0)
    train_seconds: float = Field(ge=0)
    bytes_up: int = Field(ge=0)
    bytes_down: int = Field(ge=0)
    fields: dict[str, tuple[str, ...]]
    examples: dict[str, int]
    attempt: int = Field(ge=1)
    absent: tuple[Refusal, ...] = ()
    offenders: tuple[str, ...] = ()
    usual_norm: float | None = None
    evaluation: dict[str, Evaluation] = Field(default_factory=dict)


class Checkpoint(Message):
    """The weights after a number of completed rounds, and what happened in these.

    `plan_sha256` is the digest of the plan under which they were run. `state` names the file of what
    the server optimiser remembers, for algorithms that have one.
    """

    completed: int = Field(ge=1)
    weights: str
    sha256: str
    plan_sha256: str
    state: str | None = None
    state_sha256: str | None = None
    rounds: tuple[RoundRecord, ...]


class FederationOutcome(Message):
    """How the rounds ended; a failed round, if any, is the last of `rounds`.

    `weights` names the file of the final weights in the federation's folder. `personal` tells who was
    asked for its own version of the network, and who gave one (the keys of `fields`).
    """

    state: Literal["completed", "failed"]
    cause: str | None = None
    rounds: tuple[RoundRecord, ...] = ()
    weights: str | None = None
    personal: RoundRecord | None = None


def write_plan(folder: Path, plan: FederationPlan) -> None:
    """Write the plan, durably."""
    _write(folder / PLAN_FILE, plan)


def read_plan(folder: Path) -> FederationPlan:
    """Read the plan.

    Raises
    ------
    FederationFileError
        It is missing or malformed.
    """
    path = folder / PLAN_FILE
    try:
        return FederationPlan.model_validate_json(path.read_bytes())
    except OSError as failure:
        raise FederationFileError(
            f"{path}: expected the plan of a federation, found {failure.strerror}; start it again"
        ) from failure
    except ValidationError as failure:
        raise FederationFileError(
            f"{path}: expected the plan of a federation, found {failure.error_count()} errors: {failure}; "
            "start it again"
        ) from failure


def write_outcome(folder: Path, outcome: FederationOutcome) -> None:
    """Write the outcome, durably; nothing follows it."""
    _write(folder / OUTCOME_FILE, outcome)


def read_outcome(folder: Path) -> FederationOutcome | None:
    """Read the outcome; None while there is none."""
    return read_message(folder / OUTCOME_FILE, FederationOutcome)


def read_message(path: Path, kind: type[_M]) -> _M | None:
    """Read a value from its file; None where the file is missing or is not one of its kind."""
    try:
        return kind.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def _write(path: Path, message: Message) -> None:
    write_durably(path, message.model_dump_json(indent=1).encode())
