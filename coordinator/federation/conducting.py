"""Seeing the rounds through: runs of the server app, one after another, until there is an outcome."""

import time
from pathlib import Path
from typing import Protocol

from coordinator.errors import CannotFederate
from coordinator.federation.checkpoint import CHECKPOINT_FILE
from coordinator.federation.liveness import is_alive, last_start
from coordinator.federation.plan import (
    Checkpoint,
    FederationOutcome,
    FederationPlan,
    RoundRecord,
    read_message,
    read_outcome,
)
from coordinator.federation.records import Finding, Stage, Start
from coordinator.federation.runs import RunState
from coordinator.store.values import Event, Federation
from coordinator.workplace import Workplace
from model_library.errors import SynopticError

LOOK_S = 0.25
ASK_S = 1.5
"""Between questions to Flower: they cost the SuperLink time, and a dead server app shows without them."""

MOST_FRUITLESS_RUNS = 4
"""Runs that may end in a row without one more round completed."""

LONGEST_START_S = 120.0
"""How long Flower may take to start the server app of a run."""

LONGEST_ABSENCE_S = 2.0
"""How long a run may be without its server app: Flower calls it finished a little later."""

_DEAD = RunState("finished", "failed", "its server app was killed")

LONGEST_TROUBLE_S = 300.0
"""How long the engine may be in trouble without a break."""


class RunsEngine(Protocol):
    """What carries the rounds: Flower behind one port, or a twin in memory.

    Every call but `is_up` may refuse (`SynopticError`) and be repeated then.
    """

    def open(self) -> None:
        """Start it and wait until it answers; nothing happens where it is open."""
        ...

    def close(self) -> None:
        """End its processes; what it knows of instruments and runs stays."""
        ...

    def finish(self) -> None:
        """End its processes, and forget."""
        ...

    def keep_up(self) -> None:
        """Start again what has died."""
        ...

    def is_up(self) -> bool:
        """Whether sites can reach it now."""
        ...

    def register(self, instrument_id: str, public_key_pem: str) -> None:
        """Admit an instrument; doing it again changes nothing."""
        ...

    def start_run(self, federation_id: str) -> int:
        """Start a run of the server app; it goes on from the checkpoint."""
        ...

    def run_state(self, run_id: int) -> RunState:
        """Tell where a run stands."""
        ...

    def stop_run(self, run_id: int) -> None:
        """End a run; one that has ended stays as it is."""
        ...


def rounds_of(folder: Path) -> tuple[RoundRecord, ...]:
    """Read which rounds are done: from the outcome, or from the checkpoint while there is none."""
    outcome = read_outcome(folder)
    if outcome is not None:
        return outcome.rounds
    checkpoint = read_message(folder / CHECKPOINT_FILE, Checkpoint)
    return () if checkpoint is None else checkpoint.rounds


def refuse_if_stopped(place: Workplace, federation_id: str) -> None:
    """Raise `CannotFederate` once the operator has stopped a federation."""
    federation = place.federations.get(federation_id)
    if federation is not None and Finding.STOPPED in federation.findings:
        raise CannotFederate("stopped by the operator; nothing of it is released")


class Conductor:
    """Sees one federation's rounds through; after a crash another one goes on from the checkpoint.

    Only what lies in the federation's folder counts: a run that Flower calls completed, but that
    left no outcome there, has come to nothing and is followed by another.
    """

    def __init__(
        self, place: Workplace, engine: RunsEngine, federation: Federation, plan: FederationPlan
    ) -> None:
        self._place, self._engine, self._id, self._plan = place, engine, federation.id, plan
        self._folder = place.settings.federations / federation.id
        self._ends_at = federation.created_at + Start.model_validate_json(federation.start).longest_s
        self._run: int | None = None
        self._runs: int = federation.findings.get(Finding.RUNS, 0)
        self._fruitless = 0
        self._completed = 0
        self._trouble = ""
        self._well_at = time.monotonic()
        self._dead_at = 0.0
        self._last_start = 0
        self._ask_after = 0.0

    def conduct(self) -> FederationOutcome:
        """Return the outcome, completed or failed.

        Raises
        ------
        CannotFederate
            No outcome in time, or runs that end without one.
        Stopping
            The process ends; the rounds that are done are done.
        """
        while (outcome := read_outcome(self._folder)) is None:
            self._place.check()
            self._check_time()
            self._step()
            self._tell()
            self._place.stopping.wait(LOOK_S)
        self._tell()
        return outcome

    def _step(self) -> None:
        """Keep the engine and a run going; what is refused is tried again a little later."""
        dead = self._is_dead()
        if time.monotonic() < self._ask_after and not dead:
            return
        self._ask_after = time.monotonic() + ASK_S
        refuse_if_stopped(self._place, self._id)
        try:
            self._engine.open()
            self._engine.keep_up()
            if self._run is None:
                self._run = self._start()
            elif (state := self._engine.run_state(self._run)).is_finished:
                self._ended(state)
            elif dead:
                self._engine.stop_run(self._run)
                self._ended(_DEAD)
        except CannotFederate:
            raise
        except SynopticError as trouble:
            self._bear(str(trouble))
        else:
            self._well_at, self._trouble = time.monotonic(), ""

    def _start(self) -> int:
        """Admit the members and start a run; the server app sees to it that an earlier one writes no more."""
        for member in self._plan.members:
            instrument = self._place.identities.find(member.instrument_id)
            if instrument is not None and instrument.revoked_at is None:
                self._engine.register(instrument.id, instrument.public_key_pem)
        self._last_start = last_start(self._folder)
        run_id = self._engine.start_run(self._id)
        self._dead_at = time.monotonic() + LONGEST_START_S
        self._runs += 1
        self._place.federations.find_out(self._id, Finding.RUNS, self._runs)
        self._note(f"run/{self._runs}", f"run {self._runs} of the rounds begins")
        return run_id

    def _is_dead(self) -> bool:
        """Whether the server app was killed; Flower went on calling such a run running for minutes."""
        if self._run is None:
            return False
        now = time.monotonic()
        # One that was killed right after its start may never be seen alive.
        before, self._last_start = self._last_start, last_start(self._folder)
        if is_alive(self._folder) or self._last_start != before:
            self._dead_at = now + LONGEST_ABSENCE_S
        return now > self._dead_at

    def _ended(self, state: RunState) -> None:
        if read_outcome(self._folder) is not None:
            return
        told = " ".join(word for word in (state.sub_status, state.details) if word) or state.status
        self._note(f"ended/{self._runs}", f"run {self._runs} ended without an outcome: {told}")
        self._run, self._ask_after = None, 0.0
        self._fruitless += 1
        if self._fruitless >= MOST_FRUITLESS_RUNS:
            message = f"expected an outcome, found {self._fruitless} runs in a row without one more round"
            raise CannotFederate(f"{message}: {told}; see {self._folder / 'server_app.log'}")

    def _bear(self, trouble: str) -> None:
        if trouble != self._trouble:
            self._trouble = trouble
            self._note(f"trouble/{self._place.clock()}", f"the engine has trouble: {trouble}")
        if time.monotonic() - self._well_at > LONGEST_TROUBLE_S:
            message = f"expected Flower's engine to work, found it in trouble for {LONGEST_TROUBLE_S:.0f} s"
            raise CannotFederate(f"{message}: {trouble}; see federation/log")

    def _check_time(self) -> None:
        if self._place.clock() > self._ends_at:
            done, wanted = len(rounds_of(self._folder)), self._plan.rounds
            message = f"expected {wanted} rounds before the federation's deadline, found {done}"
            raise CannotFederate(f"{message}; see {self._folder / 'server_app.log'}")

    def _tell(self) -> None:
        """Note every round that is newly done."""
        rounds = rounds_of(self._folder)
        if len(rounds) <= self._completed:
            return
        self._completed, self._fruitless = len(rounds), 0
        told = [record.model_dump(mode="json") for record in rounds]
        self._place.federations.find_out(self._id, Finding.ROUNDS, told)
        for record in rounds:
            missing = "".join(f"; {each.site}: {each.cause}" for each in (*record.refused, *record.absent))
            count = f"{len(record.contributed)} of {len(self._plan.members)}"
            names = f" ({', '.join(record.contributed)})" if record.contributed else ""
            text = f"round {record.number}: {count} contributed{names}{missing}"
            self._note(f"round/{record.number}/{record.attempt}", text)

    def _note(self, key: str, text: str) -> None:
        event = Event(self._place.clock(), Stage.ROUNDS, text)
        self._place.federations.note(self._id, f"{Stage.ROUNDS}/{key}", event)
