"""A simulation from its scenario to its outcome: frames, rounds, comparisons, attacks; then all is gone."""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coordinator.federation.checkpoint import encode_weights
from coordinator.federation.offences import quarantined
from coordinator.federation.plan import START_FILE, FederationPlan, write_plan
from model_library.processes.child import Child
from simulations.fleets.attacks import Attack, attack_of, attackers
from simulations.fleets.engine import EngineResult, EngineRun, environment
from simulations.fleets.following import followed
from simulations.fleets.judging import FEDERATED, Judged, difference
from simulations.fleets.outcome import (
    AttackRun,
    Bytes,
    FleetOutcome,
    Memory,
    NetworkFacts,
    contributions,
    sums,
)
from simulations.fleets.planned import StartNetwork, plan_of, start_network
from simulations.fleets.scenario import FleetScenario
from simulations.fleets.sites import Instrument, SiteFiles, instruments_of, write_frames

_DEADLINE_S = 6 * 3600.0
_WORKER = (sys.executable, "-m", "simulations.fleets.worker")

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Limits:
    """What this machine gives: processes that train at a time, and where children write their logs."""

    cpus: int
    log: Path


def simulate(scenario: FleetScenario, data: Path | None, limits: Limits, say: Say) -> FleetOutcome:
    """Simulate a scenario; its processes and files are gone when this returns or raises.

    Raises
    ------
    ScenarioError
        It asks for what cannot be.
    ChildDied, ChildRefused
        The engine failed; its log tells more.
    """
    instruments = instruments_of(scenario, data)
    network = start_network(scenario)
    plan = plan_of(scenario, instruments, network.config)
    # Sockets lie in it, whose paths may not be longer than 107 characters.
    with tempfile.TemporaryDirectory(prefix="syn-") as room:
        return _Simulation(scenario, instruments, network, plan, limits, say, Path(room)).outcome()


@dataclass
class _Simulation:
    scenario: FleetScenario
    instruments: tuple[Instrument, ...]
    network: StartNetwork
    plan: FederationPlan
    limits: Limits
    say: Say
    room: Path
    seconds: dict[str, float] = field(default_factory=dict)

    def outcome(self) -> FleetOutcome:
        began = time.monotonic()
        with self._stage("frames"):
            sites = self._written(self.instruments, "sites", shuffle=False)
        with self._stage("rounds"):
            clean = self._run("clean", sites, {}, guarded=True)
        ended = clean.outcome
        judged: Judged | None = None
        attacks: tuple[AttackRun, ...] = ()
        if ended.weights is not None:
            with self._stage("comparison"):
                judged = self._judged(sites, ended.weights)
            attacks = tuple(self._attacks(sites, judged))
        return FleetOutcome.model_validate(
            {
                "scenario": self.scenario.name,
                "told": self.scenario.told,
                "seed": self.scenario.seed,
                "network": NetworkFacts(name=self.network.name, parameters=self.network.parameters),
                "instruments": {each.id: each.site.told for each in self.instruments},
                "state": ended.state,
                "cause": ended.cause,
                "rounds": ended.rounds,
                "contributions": contributions(ended.rounds, [each.id for each in self.instruments]),
                "quality": {},
                "mean_db": {},
                **({} if judged is None else sums(judged)),
                "attacks": attacks,
                "bytes": Bytes(
                    up=sum(each.bytes_up for each in ended.rounds),
                    down=sum(each.bytes_down for each in ended.rounds),
                ),
                "rss_mb": Memory(server=clean.server_mib, all=clean.all_mib),
                "virtual_s": clean.virtual_s,
                "seconds": time.monotonic() - began,
                "stage_seconds": self.seconds,
            }
        )

    def _attacks(self, sites: Sequence[SiteFiles], judged: Judged) -> Iterator[AttackRun]:
        asked = self.scenario.attacks
        if asked is None:
            return
        chosen = attackers(asked.instruments, len(sites), self.scenario.seed)
        honest = [site for n, site in enumerate(sites) if n not in chosen]
        clean = judged.scores[FEDERATED]
        for kind in asked.kinds:
            does = {sites[n].id: attack_of(kind, place) for place, n in enumerate(chosen)}
            with self._stage(f"attack {kind}"):
                used = self._poisoned(sites, does) if kind is Attack.WRONG_TARGETS else sites
                guarded = self._run(f"{kind}-guarded", used, does, guarded=True)
                unguarded = self._run(f"{kind}-unguarded", used, does, guarded=False)
                losses, causes = [], []
                for name, each in (("guarded", guarded), ("unguarded", unguarded)):
                    scores, why = self._scored(self.room / f"{kind}-{name}", each, honest)
                    losses.append(scores and difference(clean, scores, [site.id for site in honest]))
                    causes.append(why)
            rounds = guarded.outcome.rounds
            yield AttackRun(
                kind=kind,
                loss_db=losses[0],
                dropped=tuple(sorted({each for record in rounds for each in record.offenders})),
                quarantined=tuple(sorted(quarantined(self.plan, rounds))),
                unguarded_loss_db=losses[1],
                why=causes[1],
            )

    def _scored(
        self, folder: Path, run: EngineResult, honest: Sequence[SiteFiles]
    ) -> tuple[dict[str, tuple[float, ...]] | None, str | None]:
        if run.outcome.weights is None:
            return None, run.outcome.cause
        told = self._asked(self._question("score", folder, run.outcome.weights, honest))
        if "unusable" in told:
            return None, told["unusable"]
        return {site: tuple(values) for site, values in told["scores"].items()}, None

    def _judged(self, sites: Sequence[SiteFiles], final: str) -> Judged:
        question = self._question("judge", self.room / "clean", final, sites)
        comparison = self.scenario.comparison.model_dump(mode="json")
        return Judged.model_validate(self._asked({**question, "comparison": comparison}))

    def _question(self, op: str, folder: Path, final: str, sites: Sequence[SiteFiles]) -> dict[str, Any]:
        return {
            "op": op,
            "plan": self.plan.model_dump(mode="json"),
            "sites": [site.model_dump(mode="json") for site in sites],
            "folder": str(folder),
            "final": final,
        }

    def _run(
        self, name: str, sites: Sequence[SiteFiles], attacks: Mapping[str, Attack], *, guarded: bool
    ) -> EngineResult:
        folder = self.room / name
        folder.mkdir()
        write_plan(folder, self.plan)
        (folder / START_FILE).write_bytes(encode_weights(self.network.weights))
        run = EngineRun(
            scenario=self.scenario,
            instruments=self.instruments,
            sites=tuple(sites),
            attacks=dict(attacks),
            guarded=guarded,
            folder=folder,
            ray=self.room / "ray",
            cpus=self.limits.cpus,
        )
        file = folder / "run.json"
        file.write_text(run.model_dump_json())
        with followed(folder, self.plan, self.say):
            return EngineResult.model_validate(self._asked({"op": "run", "file": str(file)}))

    def _asked(self, question: dict[str, Any]) -> dict[str, Any]:
        child = Child(_WORKER, log=self.limits.log, environment=environment(self.room))
        try:
            return child.ask(question, _DEADLINE_S)
        finally:
            child.retire()

    def _written(
        self, instruments: Sequence[Instrument], name: str, *, shuffle: bool
    ) -> tuple[SiteFiles, ...]:
        return tuple(
            write_frames(each, self.scenario, self.room / name / each.id, shuffle=shuffle)
            for each in instruments
        )

    def _poisoned(self, sites: Sequence[SiteFiles], attacked: Mapping[str, Attack]) -> list[SiteFiles]:
        chosen = [each for each in self.instruments if each.id in attacked]
        shuffled = {each.id: each for each in self._written(chosen, "shuffled", shuffle=True)}
        return [shuffled.get(site.id, site) for site in sites]

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        self.say(f"{name} ...")
        began = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - began
        self.say(f"{name}: {self.seconds[name]:.1f} s")
