"""How the instruments of a cohort learn together."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from coordinator.settings.algorithms import Algorithm, FedAvg, fewest_updates
from coordinator.settings.schedule import Schedule
from model_library.cards.privacy import Privacy
from model_library.wire.federation import Encoding


class FederationSettings(BaseModel):
    """How the instruments of a cohort learn together.

    `new_frames`: a cohort federates again once every willing member has acquired that many more.
    `tie_share`: at the gate, the share of a network's lead over the best classical algorithm by which
    the interval may reach below it.
    `heard_s`: an instrument silent for longer counts as unwilling. `look_s`: how often the
    coordinator looks whether a federation is due. `idle_only`: instruments that acquire, or with frames
    that wait for reconstruction, are not invited. `layers`: beginnings of the names of the arrays that are
    trained and travel; empty: all. `fraction`: share of the members that is asked in each round.
    `quarantine_after`: rounds with an unusable update after which an instrument is asked no more.
    `privacy`: noise that every update gets at its site. `personal_steps`: how many steps each member
    takes from the common network to its own version, which it returns where its owner allows; 0: none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    automatic: bool = True
    quorum: int = Field(default=3, ge=2)
    rounds: int = Field(default=3, ge=1, le=100)
    steps: int = Field(default=40, ge=1)
    batch: int = Field(default=8, ge=1)
    patch_px: int = Field(default=64, ge=16)
    learning_rate: float = Field(default=3e-4, gt=0)
    most_frames: int = Field(default=64, ge=1)
    assemble_s: float = Field(default=120.0, gt=0)
    round_s: float = Field(default=600.0, gt=0)
    new_frames: int = Field(default=200, ge=1)
    tie_share: float = Field(default=0.1, ge=0, lt=1)
    heard_s: float = Field(default=120.0, gt=0)
    look_s: float = Field(default=2.0, gt=0)
    algorithm: Algorithm = FedAvg()
    encoding: Encoding = "int8"
    layers: tuple[str, ...] = ()
    fraction: float = Field(default=1.0, gt=0, le=1)
    quarantine_after: int = Field(default=3, ge=1)
    privacy: Privacy | None = None
    personal_steps: int = Field(default=0, ge=0)
    idle_only: bool = False
    schedule: Schedule = Schedule()

    @model_validator(mode="after")
    def _quorum_suffices(self) -> Self:
        fewest, kind = fewest_updates(self.algorithm), self.algorithm.kind
        if self.quorum < fewest:
            raise ValueError(f"expected a quorum of at least {fewest} for {kind}, found {self.quorum}")
        return self
