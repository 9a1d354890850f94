"""A federation of real processes, seen through: who was asked, which links are cut, how it ended."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from coordinator.federation.conducting import rounds_of
from coordinator.federation.plan import (
    PLAN_FILE,
    FederationOutcome,
    FederationPlan,
    RoundRecord,
    read_outcome,
    read_plan,
)
from model_library.processes.supervisor import Supervisor
from simulations.deployed.link import Links
from simulations.deployed.outages import Outages
from simulations.fleets.following import in_words
from simulations.operator_view import Operator
from simulations.workspace import Workspace

_LOOK_S, _ASK_S = 0.1, 2.0


@dataclass(slots=True)
class Follower:
    """Follows one federation, and does to the links meanwhile what the scenario says.

    Parameters
    ----------
    folder
        The federation's, at the coordinator.
    clock
        Monotonic seconds.
    """

    workspace: Workspace
    folder: Path
    operator: Operator
    supervisor: Supervisor
    links: Links
    outages: Outages
    say: Callable[[str], None]
    clock: Callable[[], float] = time.monotonic
    _seen: set[Path] = field(default_factory=set)
    _cut: frozenset[str] = frozenset()
    _told: int = 0

    def follow(self, federation_id: str, longest_s: float) -> FederationOutcome:
        """Follow it to its end, or until it has lasted too long; then every link is whole again.

        Raises
        ------
        ProcessFailed
            A process has ended in failure.
        """
        began = self.clock()
        ask_at = began
        while (outcome := read_outcome(self.folder)) is None:
            self.supervisor.check()
            now = self.clock()
            self._tell_rounds()
            self._disturb(now - began)
            if now >= ask_at:
                ask_at = now + _ASK_S
                if (failure := self._failure(federation_id)) is not None:
                    outcome = self._failed(failure)
                    break
            if now - began > longest_s:
                cause = f"expected its end within {longest_s / 60:.0f} minutes; see --max-minutes"
                outcome = self._failed(cause)
                break
            time.sleep(_LOOK_S)
        self._tell_rounds()
        self.outages.end(self.clock() - began)
        self._set_cut(frozenset())
        return outcome

    def _disturb(self, now_s: float) -> None:
        number = len(rounds_of(self.folder)) + 1
        for site in self.links.by_site:
            # The site's own client makes a folder there for each question, when it has it whole.
            for exchange in (self.workspace.site(site) / "federation" / "exchange").glob("*/"):
                if exchange not in self._seen:
                    self._seen.add(exchange)
                    self.outages.asked(site, number, now_s)
        self._set_cut(self.outages.cut(now_s))

    def _set_cut(self, wanted: frozenset[str]) -> None:
        for site in sorted(wanted - self._cut):
            self.links.cut(site)
            self.say(f"  the link of {site} is cut")
        for site in sorted(self._cut - wanted):
            self.links.restore(site)
            self.say(f"  the link of {site} is whole again")
        self._cut = wanted

    def _tell_rounds(self) -> None:
        rounds = rounds_of(self.folder)
        for record in rounds[self._told :]:
            self.say(in_words(record, read_plan(self.folder), "seconds"))
        self._told = len(rounds)

    def _failure(self, federation_id: str) -> str | None:
        overview = self.operator.overview()
        for each in () if overview is None else overview.federations:
            if each.id == federation_id and each.failure is not None:
                return str(each.failure["reason"] if isinstance(each.failure, dict) else each.failure)
        return None

    def _failed(self, cause: str) -> FederationOutcome:
        return FederationOutcome(state="failed", cause=cause, rounds=rounds_of(self.folder))


def plan_at(folder: Path) -> FederationPlan | None:
    """Read the plan of a federation; None where it was never made."""
    return read_plan(folder) if (folder / PLAN_FILE).exists() else None


def named(record: RoundRecord, plan: FederationPlan) -> RoundRecord:
    """Name instruments in a record by their sites, as a simulation does."""
    return record.model_copy(
        update={
            "fields": {plan.site(key): each for key, each in record.fields.items()},
            "evaluation": {plan.site(key): each for key, each in record.evaluation.items()},
            "offenders": tuple(plan.site(key) for key in record.offenders),
        }
    )
