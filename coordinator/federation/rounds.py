"""The rounds of a federation: ask, wait no longer than agreed, examine, join, write down, repeat."""

from dataclasses import dataclass
from pathlib import Path

import structlog

from coordinator.errors import CoordinatorError
from coordinator.federation.accepted_updates import AcceptedUpdates
from coordinator.federation.aggregation import State
from coordinator.federation.asking import POLL_S, Asking
from coordinator.federation.checkpoint import (
    encode_weights,
    read_checkpoint,
    read_start,
    read_weights,
    weights_file,
    write_checkpoint,
)
from coordinator.federation.claim import Claim
from coordinator.federation.clock import Clock
from coordinator.federation.fleet import Fleet, Weights
from coordinator.federation.gathering import Gathering
from coordinator.federation.joining import aggregate
from coordinator.federation.offences import quarantined
from coordinator.federation.personal import gather_versions
from coordinator.federation.plan import (
    FederationFileError,
    FederationOutcome,
    FederationPlan,
    RoundRecord,
    read_outcome,
    write_outcome,
)
from coordinator.federation.stored_arrays import StoredArrays
from model_library.signing.digests import sha256_bytes

_ATTEMPTS = 2

_log = structlog.get_logger("federation")


class RoundsFailed(CoordinatorError):
    """The rounds cannot be completed; the message is the cause in words."""

    code = "rounds_failed"

    def __init__(self, cause: str, record: RoundRecord) -> None:
        super().__init__(cause)
        self.record = record


def run(plan: FederationPlan, fleet: Fleet, folder: Path, clock: Clock | None = None) -> FederationOutcome:
    """Run the rounds of a federation to their end, going on where an earlier process stopped.

    Parameters
    ----------
    plan
        That of the folder.
    fleet
        The way to the members.
    folder
        Holds the plan and the weights to start from; takes checkpoints and the outcome.
    clock
        Time; that of the machine where None.

    Returns
    -------
    FederationOutcome
        As it was written to the folder; the one found there if the rounds had ended before.

    Raises
    ------
    Superseded
        Another process was started for the same federation.
    """
    ended = read_outcome(folder)
    if ended is not None:
        return ended
    # A process whose run is over fails here, before it takes the place of one that works.
    fleet.online()
    clock, claim = clock or Clock(), Claim(folder)
    rounds = _Rounds(plan, fleet, folder, clock, claim, Asking(plan, fleet, clock, claim))
    outcome = rounds.to_their_end()
    with rounds.claim.held():
        write_outcome(folder, outcome)
    _log.info("ended", state=outcome.state, cause=outcome.cause)
    return outcome


@dataclass(frozen=True, slots=True)
class _Rounds:
    plan: FederationPlan
    fleet: Fleet
    folder: Path
    clock: Clock
    claim: Claim
    asking: Asking

    def to_their_end(self) -> FederationOutcome:
        records: list[RoundRecord] = []
        try:
            weights, state, found = self._resume()
            records.extend(found)
            while len(records) < self.plan.rounds:
                weights, state = self._complete(weights, state, records)
        except RoundsFailed as failure:
            return FederationOutcome(state="failed", cause=str(failure), rounds=(*records, failure.record))
        except FederationFileError as failure:
            return FederationOutcome(state="failed", cause=str(failure), rounds=tuple(records))
        personal = None
        if self.plan.personal_steps:
            personal = gather_versions(self.asking, self.folder, weights, quarantined(self.plan, records))
        final = weights_file(self.plan.rounds)
        return FederationOutcome(state="completed", rounds=tuple(records), weights=final, personal=personal)

    def _resume(self) -> tuple[Weights, State, tuple[RoundRecord, ...]]:
        checkpoint = read_checkpoint(self.folder)
        if checkpoint is None:
            return read_start(self.folder), {}, ()
        _log.info("resumed", completed=checkpoint.completed)
        AcceptedUpdates(self.folder, checkpoint.completed, "", self.claim).forget()
        state = {} if checkpoint.state is None else StoredArrays(self.folder / checkpoint.state)
        return read_weights(self.folder / checkpoint.weights), state, checkpoint.rounds

    def _complete(self, weights: Weights, state: State, records: list[RoundRecord]) -> tuple[Weights, State]:
        number = len(records) + 1
        base_sha256 = sha256_bytes(encode_weights(weights))
        updates = AcceptedUpdates(self.folder, number, base_sha256, self.claim)
        gathering = Gathering(
            self.plan,
            number,
            weights,
            updates,
            quarantined(self.plan, records),
            records[-1].usual_norm if records else None,
        )
        gathering.recall()
        # Only the beginning waits for everybody. After a crash a round goes on with a quorum at once: a site
        # that was lost with it must not hold up the others, and joins when it is back.
        begins = number == 1 and not gathering.accepted
        online = self._await_online(gathering, len(self.plan.members) if begins else self.plan.quorum)
        started_at, began = self.clock.unix(), self.clock.monotonic()
        attempt, shortage = self._gather(gathering, online)
        if shortage:
            raise RoundsFailed(
                shortage, gathering.record(started_at, self.clock.monotonic() - began, attempt)
            )
        joined = aggregate(weights, gathering.contributions(), self.plan.algorithm, state)
        record = gathering.record(started_at, self.clock.monotonic() - began, attempt)
        records.append(record)
        with self.claim.held():
            write_checkpoint(self.folder, joined.network, records, joined.state)
        updates.forget()
        _log.info("completed", **record.model_dump(include={"number", "contributed", "seconds", "attempt"}))
        return joined.network, joined.state

    def _gather(self, gathering: Gathering, online: frozenset[str]) -> tuple[int, str | None]:
        """Return the attempts made, and in words what is missing to the quorum."""
        for attempt in range(1, _ATTEMPTS + 1):
            if attempt > 1:
                online = self._await_online(gathering, self.plan.quorum)
            if len(online | gathering.accepted.keys()) < self.plan.quorum:
                return attempt, self._too_few_online(gathering, online)
            self.asking.ask(gathering, online, everybody=attempt > 1)
            gathering.compare()
            if gathering.suffices:
                return attempt, None
        return _ATTEMPTS, self._too_few_updates(gathering)

    def _await_online(self, gathering: Gathering, wanted: int) -> frozenset[str]:
        members = self.plan.ids - gathering.quarantined
        deadline = self.clock.monotonic() + self.plan.assemble_s
        while True:
            online = self.fleet.online() & members
            if len(online | gathering.accepted.keys()) >= wanted or self.clock.monotonic() >= deadline:
                return online
            self.clock.sleep(POLL_S)

    def _too_few_online(self, gathering: Gathering, online: frozenset[str]) -> str:
        found = sorted(self.plan.site(key) for key in online | gathering.accepted.keys())
        return (
            f"round {gathering.number}: expected at least {self.plan.quorum} of {len(self.plan.members)} "
            f"members online within {self.plan.assemble_s:g} s, found {len(found)}{_named(found)}; "
            "see why the others stayed away"
        )

    def _too_few_updates(self, gathering: Gathering) -> str:
        refused = sorted(gathering.refused.items())
        causes = "; ".join(f"{self.plan.site(key)}: {cause}" for key, cause in refused)
        return (
            f"round {gathering.number}: expected at least {self.plan.needed} updates that can be used, "
            f"found {len(gathering.accepted)} after {_ATTEMPTS} attempts; {causes}"
        )


def _named(sites: list[str]) -> str:
    return f" ({', '.join(sites)})" if sites else ""
