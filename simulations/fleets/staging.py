"""The runs of one simulation in its temporary folder, each in a child process that ends with it."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coordinator.federation.checkpoint import encode_weights
from coordinator.federation.plan import START_FILE, FederationPlan, write_plan
from model_library.processes.child import Child
from simulations.fleets.attacks import Attack
from simulations.fleets.engine import EngineResult, EngineRun, environment
from simulations.fleets.following import followed
from simulations.fleets.judging import FrameScores, Judged
from simulations.fleets.planned import StartNetwork
from simulations.fleets.scenario import FleetScenario
from simulations.fleets.sites import Instrument, SiteFiles, write_frames

_DEADLINE_S = 6 * 3600.0
_WORKER = (sys.executable, "-m", "simulations.fleets.worker")

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Limits:
    """What this machine gives: processes that train at a time, and where children write their logs."""

    cpus: int
    log: Path


@dataclass(frozen=True, slots=True)
class Staging:
    """What the runs of a simulation have in common; `seconds` by stage."""

    scenario: FleetScenario
    instruments: tuple[Instrument, ...]
    network: StartNetwork
    limits: Limits
    say: Say
    room: Path
    seconds: dict[str, float] = field(default_factory=dict)

    def run(
        self,
        name: str,
        plan: FederationPlan,
        sites: Sequence[SiteFiles],
        attacks: Mapping[str, Attack] | None = None,
        *,
        guarded: bool = True,
    ) -> EngineResult:
        """Run the rounds of a plan with Flower's engine; its folder is the room's of that name."""
        folder = self.room / name
        folder.mkdir()
        write_plan(folder, plan)
        (folder / START_FILE).write_bytes(encode_weights(self.network.weights))
        run = EngineRun(
            scenario=self.scenario,
            instruments=self.instruments,
            sites=tuple(sites),
            attacks=dict(attacks or {}),
            guarded=guarded,
            folder=folder,
            ray=self.room / "ray",
            cpus=self.limits.cpus,
        )
        file = folder / "run.json"
        file.write_text(run.model_dump_json())
        with followed(folder, plan, self.say):
            return EngineResult.model_validate(self._asked({"op": "run", "file": str(file)}))

    def judged(self, name: str, plan: FederationPlan, final: str, sites: Sequence[SiteFiles]) -> Judged:
        """Train whatever the result of a run is to be held against, and score it all."""
        question = self._question("judge", name, plan, sites)
        comparison = self.scenario.comparison.model_dump(mode="json")
        return Judged.model_validate(self._asked({**question, "final": final, "comparison": comparison}))

    def scored(
        self, name: str, plan: FederationPlan, run: EngineResult, sites: Sequence[SiteFiles]
    ) -> tuple[FrameScores | None, str | None]:
        """Score the result of a run at some sites; or tell why there is nothing to score."""
        if run.outcome.weights is None:
            return None, run.outcome.cause
        question = self._question("score", name, plan, sites)
        told = self._asked({**question, "final": run.outcome.weights})
        if "unusable" in told:
            return None, told["unusable"]
        return {site: tuple(values) for site, values in told["scores"].items()}, None

    def written(
        self, instruments: Sequence[Instrument], name: str, *, spoil: bool = False
    ) -> tuple[SiteFiles, ...]:
        """Write the frames of instruments, each into a folder of its own."""
        return tuple(
            write_frames(each, self.scenario, self.room / name / each.id, spoil=spoil) for each in instruments
        )

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Tell when a stage begins and ends, and how long it took."""
        self.say(f"{name} ...")
        began = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - began
        self.say(f"{name}: {self.seconds[name]:.1f} s")

    def _question(
        self, op: str, name: str, plan: FederationPlan, sites: Sequence[SiteFiles]
    ) -> dict[str, Any]:
        return {
            "op": op,
            "plan": plan.model_dump(mode="json"),
            "sites": [site.model_dump(mode="json") for site in sites],
            "folder": str(self.room / name),
        }

    def _asked(self, question: dict[str, Any]) -> dict[str, Any]:
        child = Child(_WORKER, log=self.limits.log, environment=environment(self.room))
        try:
            return child.ask(question, _DEADLINE_S)
        finally:
            child.retire()
