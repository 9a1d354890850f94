"""A federation as a durable workflow: after a crash it goes on at the stage that was interrupted."""

import threading
import time

from dbos import DBOS, DBOSConfiguredInstance, SetWorkflowID

from coordinator.errors import CannotFederate, Unknown
from coordinator.federation.conducting import RunsEngine
from coordinator.federation.opening import open_due, open_on_demand
from coordinator.federation.performing import PERFORMED, Performer
from coordinator.federation.records import Finding, Stage
from coordinator.store.values import Event
from coordinator.workplace import Workplace


@DBOS.dbos_class()
class Federating(DBOSConfiguredInstance):
    """Opens federations where they are due, and has their stages performed one after another."""

    def __init__(self, place: Workplace, engine: RunsEngine) -> None:
        self._place, self._performer = place, Performer(place, engine)
        self._looking = threading.Lock()
        self._look_after = 0.0
        super().__init__("federating")

    @DBOS.workflow()
    def run(self, federation_id: str) -> str:
        """Perform every stage in turn; a failed one ends the federation and says why."""
        with self._place.at_work(federation_id):
            for stage in PERFORMED:
                failure: str | None = DBOS.run_step(
                    {"name": stage.value}, self._performer.perform, federation_id, stage
                )
                if failure is not None:
                    return failure
        return "done"

    def look(self) -> None:
        """Start a federation if one is due; asked at every heartbeat, it looks now and then."""
        if not self._looking.acquire(blocking=False):
            return
        try:
            if time.monotonic() >= self._look_after:
                self._look_after = time.monotonic() + self._place.settings.federation.look_s
                self._start(open_due(self._place))
        finally:
            self._looking.release()

    def begin(self, cohort_id: str | None) -> str:
        """Start a federation because the operator asks for it, and return its id.

        Raises
        ------
        Unknown
            No such cohort.
        CannotFederate
            None could begin now.
        """
        opened = open_on_demand(self._place, cohort_id)
        self._start(opened)
        return opened

    def stop(self, federation_id: str) -> None:
        """End a federation that is under way; nothing of it is released.

        Raises
        ------
        Unknown
            No such federation.
        CannotFederate
            It has ended, or its releases are under way.
        """
        federation = self._place.federations.get(federation_id)
        if federation is None:
            raise Unknown(
                f"expected a federation, found none called {federation_id}; see `federation status`"
            )
        if federation.ended_at is not None or federation.stage == Stage.RELEASES:
            raise CannotFederate(
                f"expected {federation_id} under way, found it at {federation.stage}; sites can roll back "
                "what was released"
            )
        self._place.federations.find_out(federation_id, Finding.STOPPED, self._place.clock())

    def lift(self, instrument_id: str) -> None:
        """End an instrument's quarantine: what it sent until now is forgotten.

        Raises
        ------
        Unknown
            No such instrument.
        """
        if self._place.identities.find(instrument_id) is None:
            raise Unknown(f"expected an instrument, found none with id {instrument_id}; see `status`")
        self._place.federations.lift(instrument_id, self._place.clock())

    def resume(self) -> None:
        """After a start of the server: note what goes on, and begin what was opened just before a crash."""
        federation = self._place.federations.under_way()
        if federation is None:
            return
        now, stage = self._place.clock(), federation.stage
        text = f"the coordinator started again and resumes {stage}"
        self._place.federations.note(federation.id, f"restart/{now}", Event(now, stage, text))
        self._start(federation.id)

    def _start(self, federation_id: str | None) -> None:
        if federation_id is not None:
            # The id makes a second start of the same federation a no-op.
            with SetWorkflowID(federation_id):
                DBOS.start_workflow(self.run, federation_id)
