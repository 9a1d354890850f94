"""A scenario with real daemons, from its frames to what came of it; then all else is gone."""

import time
from pathlib import Path

from simulations.deployed.capacity import available_mib, refuse_too_large
from simulations.deployed.deployment import ROUNDS, Bounds, Deployment, Federated
from simulations.deployed.following import named
from simulations.deployed.founding import federation_settings, shrunk
from simulations.deployed.room import room_of_its_own
from simulations.fleets.outcome import Bytes, FleetOutcome, NetworkFacts, contributions, sums, unit_of
from simulations.fleets.planned import plan_of, start_network
from simulations.fleets.scenario import FleetScenario
from simulations.fleets.sites import instruments_of
from simulations.fleets.staging import Limits, Say, Staging


def deploy(scenario: FleetScenario, data: Path | None, bounds: Bounds, say: Say) -> FleetOutcome:
    """Run a scenario with real processes; they and their files are gone when this returns or raises.

    Raises
    ------
    ScenarioError
        It asks for what cannot be, or for more than this machine holds.
    ProcessFailed
        A process does not come up, or ends in failure.
    """
    began = time.monotonic()
    instruments = instruments_of(scenario, data)[: bounds.sites]
    refuse_too_large(len(instruments), available_mib())
    scenario = shrunk(scenario, len(instruments))
    network = start_network(scenario)
    plan = plan_of(scenario, instruments, network.config)
    settings = federation_settings(scenario, plan)
    with room_of_its_own() as room:
        limits = Limits(1, bounds.logs / "judging.log")
        staging = Staging(scenario, instruments, network, limits, say, room)
        with staging.stage("frames"):
            sites = staging.written(instruments, "frames")
        with staging.stage(ROUNDS):
            run = Deployment(staging, plan, sites, bounds).federated(settings)
        found: dict[str, object] = {"quality": {}, "mean": {}}
        if run.outcome.weights is not None and run.plan is not None:
            with staging.stage("comparison"):
                found = sums(staging.judged(ROUNDS, run.plan, run.outcome.weights, sites))
        return _told(staging, run, found, time.monotonic() - began)


def _told(staging: Staging, run: Federated, found: dict[str, object], seconds: float) -> FleetOutcome:
    scenario, instruments = staging.scenario, staging.instruments
    rounds = run.outcome.rounds
    if run.plan is not None:
        rounds = tuple(named(each, run.plan) for each in rounds)
    return FleetOutcome.model_validate(
        {
            "mode": "processes",
            "scenario": scenario.name,
            "told": scenario.told,
            "unit": unit_of(scenario.task),
            "seed": scenario.seed,
            "network": NetworkFacts(name=staging.network.name, parameters=staging.network.parameters),
            "instruments": {each.id: each.site.told for each in instruments},
            "state": run.outcome.state,
            "cause": run.outcome.cause,
            "rounds": rounds,
            "contributions": contributions(rounds, [each.id for each in instruments]),
            "bytes": Bytes(
                up=sum(each.up for each in run.links.values()),
                down=sum(each.down for each in run.links.values()),
            ),
            "rss_mb": run.memory,
            "links": run.links,
            "outages": run.outages,
            "virtual_s": None,
            "seconds": seconds,
            "stage_seconds": staging.seconds,
            **found,
        }
    )
