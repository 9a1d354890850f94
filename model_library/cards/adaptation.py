"""One round of a federation, as the coordinator plans it and a site reports it; both travel over Flower."""

from collections.abc import Iterable
from typing import Literal, Self

from pydantic import Field, model_validator

from model_library.cards.privacy import Privacy
from model_library.networks.config import NetworkConfig
from model_library.wire.base import Message
from model_library.wire.federation import Encoding
from model_library.wire.tasks import Task

PACKED = "safetensors"
"""Name of the only array (uint8) in the records `weights` and `update`: the bytes of a safetensors file.

That of an update is packed (`model_library.wire.delta_coding`).

Flower carries every array in requests of its own at each of four hops; with the 36 arrays of a U-Net
a round of three sites spent some 25 s on them.
"""


class AdaptationPlan(Message):
    """What a site is to do with the weights that come along.

    `number` counts rounds from 1. `deadline_s` is the time for the whole round; the site stops
    training early enough to answer in time. `proximal` weighs half the squared distance to the weights
    that came along, which is added to the loss (FedProx; 0: nothing is). `encoding` is that of the
    update. `travels` are the keys that are trained and come back (None: all); `keeps` are trained as
    well, but stay at the site, which puts its own in the place of those that come (FedBN). All other
    arrays stay as they came. `privacy` is what the update gets before it leaves. A plan of kind
    `personal` asks for the site's own version of the network, kept arrays included, which is joined
    with no other and which a site gives only where its owner allows that.
    """

    federation_id: str
    number: int = Field(ge=1)
    rounds: int = Field(ge=1)
    kind: Literal["update", "personal"] = "update"
    task: Task
    config: NetworkConfig
    steps: int = Field(ge=1)
    batch: int = Field(default=8, ge=1)
    patch_px: int = Field(default=64, ge=16)
    learning_rate: float = Field(gt=0)
    loss: Literal["l1", "mse"] = "mse"
    seed: int = 0
    most_frames: int = Field(default=64, ge=1)
    deadline_s: float = Field(gt=0)
    proximal: float = Field(default=0.0, ge=0)
    encoding: Encoding = "int8"
    travels: tuple[str, ...] | None = None
    keeps: tuple[str, ...] = ()
    privacy: Privacy | None = None

    def sends(self, keys: Iterable[str]) -> tuple[str, ...]:
        """Tell which arrays of a network come back as an update, sorted."""
        sent = set(keys) if self.travels is None else set(keys) & set(self.travels)
        kept = set(keys) & set(self.keeps)
        return tuple(sorted(sent | kept if self.kind == "personal" else sent - kept))


class AdaptationReport(Message):
    """What a site says of its update, besides the update itself.

    `examples` counts the frames trained on; it weighs the update, within bounds that the
    coordinator sets. `fields` are their fields of view, on which the result must not be scored.
    `judged_before` and `judged_after` are mean losses, of the network as it came and as it went, on
    `judged_frames` other frames; None where there were too few to spare any. A private update tells no
    losses at all, for they were measured on frames and have no noise.
    """

    federation_id: str
    number: int = Field(ge=1)
    examples: int = Field(ge=1)
    fields: tuple[str, ...]
    steps: int = Field(ge=1)
    loss_first: float | None = None
    loss_last: float | None = None
    train_s: float = Field(ge=0)
    judged_before: float | None = None
    judged_after: float | None = None
    judged_frames: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _judged_whole(self) -> Self:
        judged = self.judged_frames > 0
        if judged != (self.judged_before is not None) or judged != (self.judged_after is not None):
            raise ValueError("expected both losses with the number of frames judged on, or none of them")
        return self
