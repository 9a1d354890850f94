"""Asking members for updates, and taking what comes back, until there is enough or time is up."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import structlog

from coordinator.federation.claim import Claim
from coordinator.federation.clock import Clock
from coordinator.federation.fleet import Fleet, weights_bytes
from coordinator.federation.gathering import Gathering
from coordinator.federation.plan import FederationPlan
from coordinator.settings.algorithms import FedBuff

POLL_S = 0.5
_LOOK_S = 5.0
"""How often it is looked for members that came online since."""
_LATEST_SHARE = 0.5
"""Share of a round's time that must be left for whoever comes late."""

_log = structlog.get_logger("federation")


@dataclass(frozen=True, slots=True)
class _Sent:
    """A message on its way: to whom, with the weights of which round, and until when it is waited for."""

    instrument_id: str
    number: int
    until: float


@dataclass
class Asking:
    """The messages that are on their way to the members, from round to round.

    In rounds of their own, sites are asked for one round and waited for until its end. Buffered, a
    site is asked whenever it has nothing to do, and its answer counts in whatever round it comes.
    """

    plan: FederationPlan
    fleet: Fleet
    clock: Clock
    claim: Claim
    _waiting: dict[str, _Sent] = field(default_factory=dict)

    def ask(self, gathering: Gathering, online: frozenset[str], everybody: bool) -> None:
        """Make one attempt at a round.

        Parameters
        ----------
        online
            Members that can be asked.
        everybody
            Whether to ask all of them, whatever share of the members the plan wants.
        """
        self.claim.check()
        until = self.clock.monotonic() + self.plan.round_s
        if isinstance(self.plan.algorithm, FedBuff):
            self._fill(gathering, until)
            return
        self._waiting.clear()
        missing = sorted(online - gathering.accepted.keys())
        drawn = missing if everybody else draw(missing, self.plan, gathering)
        for instrument_id in set(missing) - set(drawn):
            gathering.leave_out(instrument_id, "was not drawn for this round")
        self._send(gathering, drawn, until)
        asked = set(missing)
        self._collect(
            gathering, until, lambda: not self._waiting, lambda: self._latecomers(gathering, asked, until)
        )
        self._give_up(gathering, self._waiting)

    def ask_once(self, gathering: Gathering, online: frozenset[str]) -> None:
        """Ask these members, however many are wanted, and wait until all answered or time is up."""
        self.claim.check()
        self._waiting.clear()
        until = self.clock.monotonic() + self.plan.round_s
        self._send(gathering, sorted(online - gathering.accepted.keys()), until)
        self._collect(gathering, until, lambda: not self._waiting, lambda: ())
        self._give_up(gathering, self._waiting)

    def _fill(self, gathering: Gathering, until: float) -> None:
        """Ask whoever has nothing to do, until the buffer is full."""

        def idle() -> Iterable[str]:
            at_work = {sent.instrument_id for sent in self._waiting.values()}
            return self._askable(gathering) - at_work - gathering.accepted.keys() - gathering.refused.keys()

        gathering.refused.clear()
        self._send(gathering, sorted(idle()), until)
        self._collect(gathering, until, lambda: gathering.suffices, idle)
        for sent in self._waiting.values():
            gathering.leave_out(sent.instrument_id, f"is at work on round {sent.number}")

    def _collect(
        self,
        gathering: Gathering,
        until: float,
        enough: Callable[[], bool],
        others: Callable[[], Iterable[str]],
    ) -> None:
        look_at = self.clock.monotonic() + _LOOK_S
        while not enough() and self.clock.monotonic() < until:
            for reply in self.fleet.replies(tuple(self._waiting)):
                sent = self._waiting.pop(reply.message_id, None)
                if sent is not None:
                    gathering.take(sent.instrument_id, reply, sent.number)
            if self.clock.monotonic() >= look_at:
                self._give_up(gathering, self._overdue())
                self._send(gathering, sorted(others()), until)
                look_at = self.clock.monotonic() + _LOOK_S
            if not enough():
                self.clock.sleep(POLL_S)

    def _send(self, gathering: Gathering, to: list[str], until: float) -> None:
        if not to:
            return
        now = self.clock.monotonic()
        life_s = until - now
        if isinstance(self.plan.algorithm, FedBuff):
            life_s = self.plan.round_s * (1 + self.plan.algorithm.most_stale)
        adaptation = self.plan.adaptation(gathering.number).model_copy(update={"deadline_s": life_s})
        sent = self.fleet.send(adaptation, gathering.weights, to, life_s)
        size = weights_bytes(gathering.weights) + len(adaptation.model_dump_json().encode())
        gathering.bytes_down += size * len(sent)
        for message_id, instrument_id in sent.items():
            self._waiting[message_id] = _Sent(instrument_id, gathering.number, now + life_s)
            gathering.join(instrument_id)
        _log.info("asked", round=gathering.number, sites=sorted(map(self.plan.site, sent.values())))
        for instrument_id in sorted(set(to) - set(sent.values())):
            gathering.refuse(instrument_id, "could not be handed the message")

    def _latecomers(self, gathering: Gathering, asked: set[str], until: float) -> Iterable[str]:
        """Members that came online since, while enough time is left; each is asked once."""
        if until - self.clock.monotonic() < _LATEST_SHARE * self.plan.round_s or self.plan.fraction < 1:
            return ()
        late = self._askable(gathering) - asked - gathering.accepted.keys()
        asked.update(late)
        return late

    def _askable(self, gathering: Gathering) -> frozenset[str]:
        return self.fleet.online() & self.plan.ids - gathering.quarantined

    def _overdue(self) -> dict[str, _Sent]:
        now = self.clock.monotonic()
        return {key: sent for key, sent in self._waiting.items() if sent.until <= now}

    def _give_up(self, gathering: Gathering, on: dict[str, _Sent]) -> None:
        for message_id, sent in sorted(on.items(), key=lambda each: each[1].instrument_id):
            gathering.refuse(sent.instrument_id, f"no reply within {self.plan.round_s:g} s")
            self._waiting.pop(message_id)


def draw(online: list[str], plan: FederationPlan, gathering: Gathering) -> list[str]:
    """Draw the share of members that the plan wants of a round, never fewer than are needed."""
    missing = plan.needed - len(gathering.accepted)
    count = min(len(online), max(missing, math.ceil(plan.fraction * len(online))))
    rng = np.random.default_rng([plan.seed & 0xFFFFFFFF, gathering.number])
    return sorted(rng.permutation(online)[:count].tolist())
