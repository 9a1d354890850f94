"""The model card: everything about a network besides its weights."""

from typing import Literal

from pydantic import Field

from model_library.cards.acquisition import AcquisitionRange
from model_library.networks.config import NetworkConfig, NetworkFacts
from model_library.wire.base import Message
from model_library.wire.methods import NetworkRef, Sha256
from model_library.wire.tasks import Task

Modality = Literal["sem", "tem", "stem", "fib_sem", "cryo_em", "light"]
"""How the images that a network is for are taken."""

CARD_FILE, WEIGHTS_FILE = "card.json", "weights.safetensors"
"""What lies in the folder of a network."""


class TrainingData(Message):
    """One source that training saw; `digests` are SHA-256 of files, empty for simulated specimens."""

    source: str
    terms: str
    images: int = Field(ge=0)
    digests: tuple[Sha256, ...] = ()
    simulated: bool


class CardScore(Message):
    """One measured figure, with the paired rival and the command that reproduces it."""

    suite: str
    metric: str
    value: float
    ci95: tuple[float, float]
    best_classical: str | None = None
    best_classical_value: float | None = None
    fields: int = Field(ge=1)
    command: str


class Lineage(Message):
    """Where a version came from: the parent's weights and the campaign or federation that tuned it.

    `tuned_fields` are the fields of view that this version or any before it was tuned on, as
    `tuned_field` writes them; on these no method of this descent may be scored.
    """

    parent_id: str
    parent_version: str
    parent_weights_sha256: Sha256
    campaign: str
    tuned_fields: tuple[str, ...] = ()


def tuned_field(instrument_id: str, field: str) -> str:
    """Name a field of view among those of all instruments."""
    return f"{instrument_id}/{field}"


class SelfTest(Message):
    """Values of the network's output, evenly spaced, for uniform noise in [0, 1) of this seed."""

    seed: int
    values: tuple[float, ...] = Field(min_length=1)


class NetworkCard(Message):
    """What a network is for, what it was trained on, how it scores and where it ends.

    An empty `modality` says that the network is bound to no kind of microscope. `acquisition` is that of the
    images that this version was trained or last tuned on; None where it is not known.
    """

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    version: str
    purpose: str
    task: Task
    modality: tuple[Modality, ...] = ()
    config: NetworkConfig
    facts: NetworkFacts
    weights_sha256: Sha256
    pixel_size_nm: tuple[float, float] | None = None
    acquisition: AcquisitionRange | None = None
    training_data: tuple[TrainingData, ...] = ()
    recipe: str = ""
    seed: int = 0
    scores: tuple[CardScore, ...] = ()
    limits: tuple[str, ...] = ()
    licence: str = "Apache-2.0"
    lineage: Lineage | None = None
    self_test: SelfTest | None = None

    @property
    def ref(self) -> NetworkRef:
        """Id, version and weights digest: what names this version everywhere."""
        return NetworkRef(id=self.id, version=self.version, weights_sha256=self.weights_sha256)
