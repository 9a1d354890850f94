"""A fleet in virtual time: answers are computed when they are due, and arrive when they would have.

Seconds pass only where the rounds wait. So a night takes no longer than its training, a straggler
costs nothing but patience, and a run does not depend on how busy the machine is that it runs on.
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from safetensors.numpy import load_file

from coordinator.federation.checkpoint import encode_weights
from coordinator.federation.clock import Clock
from coordinator.federation.fleet import Fleet, Reply, Weights, weights_bytes
from model_library.cards.adaptation import AdaptationPlan
from simulations.errors import SimulationError
from simulations.fleets.conditions import Conditions

SILENT = "it gave no sign of life any more"
_SILENCE_S = 60.0
"""After which Flower gives up a node that has gone."""
_LIFE_S = 86_400.0
"""Of a message within the engine, which works in real time."""
_LOOK_S = 0.02
_PATIENCE_S = 600.0
"""Real seconds without any answer after which the engine is taken for lost."""


class EngineLost(SimulationError):
    """Flower's engine does not answer any more."""


@dataclass(slots=True)
class _Question:
    """One message: what was asked of whom, when the work on it ends, and until when it lives."""

    plan: AdaptationPlan
    weights: Weights
    instrument_id: str
    ready_s: float
    ends_s: float
    reply: Reply | None = None
    arrives_s: float = 0.0


@dataclass
class VirtualFleet:
    """See the module.

    Parameters
    ----------
    inner
        The fleet that really computes; all of its members are always there.
    conditions
        Who is online when, and how long everything takes.
    room
        Folder for answers that have not arrived yet: with many instruments they fill no memory.
    at_once
        Questions that the inner fleet works on at a time.
    """

    inner: Fleet
    conditions: Conditions
    room: Path
    at_once: int = 3
    wait: Callable[[float], None] = time.sleep
    real: Callable[[], float] = time.monotonic
    now_s: float = 0.0
    _questions: dict[str, _Question] = field(default_factory=dict)
    _asked: Counter[tuple[str, int]] = field(default_factory=Counter)

    @property
    def clock(self) -> Clock:
        """The time of this fleet, as the rounds see it."""
        begins = self.conditions.begins_at.timestamp()
        return Clock(lambda: begins + self.now_s, lambda: self.now_s, self.sleep)

    def online(self) -> frozenset[str]:
        """Instruments that can be reached now."""
        return self.conditions.online(self.now_s)

    def send(self, plan: AdaptationPlan, weights: Weights, to: Sequence[str], ttl_s: float) -> dict[str, str]:
        """See `Fleet`."""
        online, sent = self.online(), {}
        down_bytes = weights_bytes(weights)
        for instrument_id in to:
            if instrument_id not in online:
                continue
            self._asked[instrument_id, plan.number] += 1
            attempt = self._asked[instrument_id, plan.number]
            course = self.conditions.course(instrument_id, plan.number, attempt, plan.steps)
            down_s = self.conditions.carries_s(instrument_id, down_bytes)
            question = _Question(
                plan, weights, instrument_id, self.now_s + down_s + course.trains_s, self.now_s + ttl_s
            )
            if course.silent_s >= _SILENCE_S:
                question.ready_s = question.arrives_s = self.now_s + _SILENCE_S
                question.reply = Reply("", error=SILENT)
            else:
                question.ready_s = max(question.ready_s, self.now_s + course.silent_s)
            message_id = f"{plan.number}-{attempt}-{instrument_id}"
            self._questions[message_id], sent[message_id] = question, instrument_id
        return sent

    def replies(self, waiting: Sequence[str]) -> Iterator[Reply]:
        """See `Fleet`."""
        for message_id in waiting:
            question = self._questions.get(message_id)
            if question is None or question.reply is None or question.arrives_s > self.now_s:
                continue
            del self._questions[message_id]
            yield self._unspooled(message_id, question.reply)

    def sleep(self, seconds: float) -> None:
        """Let virtual time pass; whatever is ready by then is computed now."""
        until = self.now_s + seconds
        # Nobody fetches what would come after its life.
        self._questions = {key: each for key, each in self._questions.items() if each.ends_s > self.now_s}
        self._work_off(until)
        self.now_s = until

    def _work_off(self, until: float) -> None:
        due = deque(
            (key, each)
            for key, each in sorted(self._questions.items(), key=lambda item: item[1].ready_s)
            if each.reply is None and each.ready_s <= min(until, each.ends_s)
        )
        at_work: dict[str, str] = {}
        progress_at = self.real()
        while due or at_work:
            while due and len(at_work) < self.at_once:
                key, question = due.popleft()
                handed = self.inner.send(question.plan, question.weights, [question.instrument_id], _LIFE_S)
                if not handed:
                    self._settle(key, Reply("", error="could not be handed the message"))
                at_work.update(dict.fromkeys(handed, key))
            for reply in self.inner.replies(tuple(at_work)):
                self._settle(at_work.pop(reply.message_id), reply)
                progress_at = self.real()
            if at_work:
                self._keep_patience(progress_at)

    def _keep_patience(self, progress_at: float) -> None:
        if self.real() - progress_at > _PATIENCE_S:
            raise EngineLost(
                f"expected answers from Flower's engine, found none within {_PATIENCE_S:g} s; see engine.log"
            )
        self.wait(_LOOK_S)

    def _settle(self, key: str, reply: Reply) -> None:
        question = self._questions[key]
        question.arrives_s = question.ready_s + self.conditions.carries_s(
            question.instrument_id, reply.size_bytes
        )
        if reply.update is not None:
            self._spooled(key).write_bytes(encode_weights(reply.update))
        question.reply = replace(reply, update=None, packed_bytes=reply.packed_bytes or reply.size_bytes)

    def _unspooled(self, message_id: str, reply: Reply) -> Reply:
        spooled = self._spooled(message_id)
        if not spooled.exists():
            return replace(reply, message_id=message_id)
        update = load_file(spooled)
        spooled.unlink()
        return replace(reply, message_id=message_id, update=update)

    def _spooled(self, message_id: str) -> Path:
        return self.room / f"{message_id}.spooled"
