"""A fleet in memory: the same round loop without Flower, for tests and for trying things out."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from coordinator.federation.fleet import Reply, Weights
from model_library.cards.adaptation import AdaptationPlan

Answer = tuple[Weights, str] | str | None
"""An update with its report (JSON), the text of an error, or nothing at all."""

Site = Callable[[AdaptationPlan, Weights], Answer]


@dataclass
class MemoryFleet:
    """Sites as functions, by instrument id; they answer at once."""

    sites: Mapping[str, Site]
    asked: list[tuple[int, str]] = field(default_factory=list)
    """Round number and instrument id of every message that was handed over."""
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _ready: dict[str, Reply] = field(default_factory=dict)

    def online(self) -> frozenset[str]:
        """All of them."""
        return frozenset(self.sites)

    def send(self, plan: AdaptationPlan, weights: Weights, to: Sequence[str], ttl_s: float) -> dict[str, str]:
        """Let the sites answer; those that are unknown are not handed the message."""
        assert ttl_s > 0
        messages = {f"message-{next(self._numbers)}": key for key in to if key in self.sites}
        for message_id, instrument_id in messages.items():
            self.asked.append((plan.number, instrument_id))
            match self.sites[instrument_id](plan, weights):
                case None:
                    continue
                case str(error):
                    self._ready[message_id] = Reply(message_id, error=error)
                case (update, report):
                    self._ready[message_id] = Reply(message_id, dict(update), report)
        return messages

    def replies(self, waiting: Sequence[str]) -> list[Reply]:
        """Hand out the answers, each once."""
        return [self._ready.pop(message_id) for message_id in waiting if message_id in self._ready]
