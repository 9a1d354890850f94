"""A simulation from its scenario to its outcome: frames, rounds, comparisons; then all else is gone."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from coordinator.federation.plan import FederationPlan
from simulations.fleets.judging import FEDERATED
from simulations.fleets.outcome import (
    FleetOutcome,
    Memory,
    NetworkFacts,
    bytes_of,
    contributions,
    sums,
    unit_of,
)
from simulations.fleets.planned import plan_of, start_network
from simulations.fleets.scenario import FleetScenario
from simulations.fleets.sites import instruments_of
from simulations.fleets.staging import Limits, Say, Staging
from simulations.fleets.trials import attack_runs, variant_runs

_MAIN = "rounds"
_REMOVAL_S, _LOOK_S = 30.0, 0.25
_GONE_S = 4.0
"""A process of Ray's that is dying may make its folder again; so long after nothing did, none is left."""


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
    for variant in scenario.variants:
        plan_of(scenario, instruments, network.config, variant.federation)
    # Sockets lie in it, whose paths may not be longer than 107 characters.
    with _room() as room:
        return _outcome(Staging(scenario, instruments, network, limits, say, room), plan)


@contextmanager
def _room() -> Iterator[Path]:
    """Make a temporary folder that is removed although Ray's processes, dying, may still write to it."""
    room = Path(tempfile.mkdtemp(prefix="syn-"))
    try:
        yield room
    finally:
        seen = time.monotonic()
        deadline = seen + _REMOVAL_S
        while time.monotonic() < min(deadline, seen + _GONE_S):
            if room.exists():
                shutil.rmtree(room, ignore_errors=True)
                seen = time.monotonic()
            time.sleep(_LOOK_S)


def _outcome(staging: Staging, plan: FederationPlan) -> FleetOutcome:
    began, scenario = time.monotonic(), staging.scenario
    with staging.stage("frames"):
        sites = staging.written(staging.instruments, "sites")
    with staging.stage(_MAIN):
        run = staging.run(_MAIN, plan, sites)
    ended = run.outcome
    found: dict[str, object] = {"quality": {}, "mean": {}}
    if ended.weights is not None:
        with staging.stage("comparison"):
            judged = staging.judged(_MAIN, plan, ended.weights, sites)
        clean = judged.scores[FEDERATED]
        found = sums(judged)
        found["attacks"] = tuple(attack_runs(staging, plan, sites, clean))
        found["variants"] = tuple(variant_runs(staging, sites, clean))
    ids = [each.id for each in staging.instruments]
    return FleetOutcome.model_validate(
        {
            "scenario": scenario.name,
            "told": scenario.told,
            "unit": unit_of(scenario.task),
            "seed": scenario.seed,
            "network": NetworkFacts(name=staging.network.name, parameters=staging.network.parameters),
            "instruments": {each.id: each.site.told for each in staging.instruments},
            "state": ended.state,
            "cause": ended.cause,
            "rounds": ended.rounds,
            "contributions": contributions(ended.rounds, ids),
            "bytes": bytes_of(ended.rounds),
            "rss_mb": Memory(server=run.server_mib, all=run.all_mib),
            "virtual_s": run.virtual_s,
            "seconds": time.monotonic() - began,
            "stage_seconds": staging.seconds,
            **found,
        }
    )
