"""The port through which the round loop reaches the sites: Flower, or a twin in memory."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from numpy.typing import NDArray

from model_library.cards.adaptation import AdaptationPlan

Weights: TypeAlias = Mapping[str, NDArray[Any]]
"""Weights by key; float32 of any shape, except for counters that an architecture may hold."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back for one message: an update with its report, or the reason why there is none.

    `update` holds changes of the weights by key, as sent and not yet believed; `report` is the JSON
    of an `AdaptationReport`, not yet believed either. `packed_bytes` is the size of the update as it
    came; None where it came as it is. `malformed`: the error is that what came cannot be read.
    """

    message_id: str
    update: Weights | None = None
    report: str | None = None
    error: str | None = None
    packed_bytes: int | None = None
    malformed: bool = False

    @property
    def size_bytes(self) -> int:
        """Bytes of the arrays, as they came, and the report."""
        arrays = weights_bytes(self.update or {}) if self.packed_bytes is None else self.packed_bytes
        return arrays + len((self.report or "").encode())


class Fleet(Protocol):
    """Instruments that a federation can reach, by their ids.

    What an implementation raises means that the engine is lost, never that a site misbehaved.
    """

    def online(self) -> frozenset[str]:
        """Instruments that would take a message now."""
        ...

    def send(self, plan: AdaptationPlan, weights: Weights, to: Sequence[str], ttl_s: float) -> dict[str, str]:
        """Ask instruments to adapt the weights.

        Returns
        -------
        dict
            Instrument id by message id, without those that the message could not be handed to.
        """
        ...

    def replies(self, waiting: Sequence[str]) -> Iterable[Reply]:
        """Fetch what has come back for these messages, one after another and each reply only once."""
        ...


def weights_bytes(weights: Weights) -> int:
    """Bytes of all arrays."""
    return sum(array.nbytes for array in weights.values())
