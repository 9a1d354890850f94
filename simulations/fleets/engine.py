"""One run of Flower's simulation engine: this project's rounds in its server app, sites in its actors."""

import os
from collections.abc import Mapping
from pathlib import Path

from flwr.app import Context
from flwr.server.superlink.fleet.vce.backend.backend import BackendConfig
from flwr.serverapp import Grid, ServerApp

from coordinator.federation.grid_fleet import GridFleet
from coordinator.federation.plan import FederationOutcome, read_outcome, read_plan
from coordinator.federation.server_app import lead
from model_library.wire.base import Message
from simulations.fleets.attacks import Attack
from simulations.fleets.client import client_app
from simulations.fleets.conditions import Conditions
from simulations.fleets.memory import watched
from simulations.fleets.named_grid import NamedGrid, ask_names
from simulations.fleets.scenario import FleetScenario
from simulations.fleets.sites import Instrument, SiteFiles
from simulations.fleets.unguarded import run_unguarded
from simulations.fleets.virtual_fleet import EngineLost, VirtualFleet

_STORE_BYTES = 128 << 20
"""Ray's shared memory: one network on its way to each process fits many times."""


class EngineRun(Message):
    """What one run is to do; in its `folder` lie the plan and the weights to start from.

    `ray` is a folder with a short name: sockets lie in it. `cpus` is how many sites train at a time.
    """

    scenario: FleetScenario
    instruments: tuple[Instrument, ...]
    sites: tuple[SiteFiles, ...]
    attacks: dict[str, Attack]
    guarded: bool
    folder: Path
    ray: Path
    cpus: int


class EngineResult(Message):
    """How it went: memory in MiB (see `Peak`), virtual seconds that passed."""

    outcome: FederationOutcome
    server_mib: float
    all_mib: float
    virtual_s: float


def run_engine(run: EngineRun) -> EngineResult:
    """Run it in this process and in processes of Ray's, which have ended when this returns.

    Raises
    ------
    EngineLost
        The engine ends without an outcome.
    """
    from flwr.simulation import run_simulation

    server, passed = ServerApp(), []

    @server.main()
    def main(grid: Grid, context: Context) -> None:  # noqa: ARG001
        names = ask_names(grid, len(run.sites))
        fleet = VirtualFleet(
            GridFleet(NamedGrid(grid, names)),
            Conditions.of(run.scenario, run.instruments),
            run.folder,
            at_once=run.cpus + 1,
        )
        if run.guarded:
            lead(fleet, run.folder, fleet.clock)
        else:
            run_unguarded(read_plan(run.folder), fleet, run.folder, fleet.clock)
        passed.append(fleet.now_s)

    client = client_app(run.sites, run.attacks, run.folder)
    with watched() as peak:
        run_simulation(server, client, len(run.sites), backend_config=_backend(run))
    outcome = read_outcome(run.folder)
    if outcome is None or not passed:
        raise EngineLost(f"expected an outcome in {run.folder}, found none; see engine.log")
    return EngineResult(outcome=outcome, server_mib=peak.own_mib, all_mib=peak.all_mib, virtual_s=passed[0])


def _backend(run: EngineRun) -> BackendConfig:
    return {
        "init_args": {
            "num_cpus": run.cpus,
            "num_gpus": 0,
            "object_store_memory": _STORE_BYTES,
            "include_dashboard": False,
            "_temp_dir": str(run.ray),
        },
        "client_resources": {"num_cpus": 1, "num_gpus": 0},
    }


def environment(room: Path, inherited: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Variables under which the engine talks to nobody outside, and computes on one thread per process.

    Parameters
    ----------
    room
        Takes all temporary files, also those of the libraries.
    """
    threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return dict.fromkeys(threads, "1") | {
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        # Ray would put sites 15 below the priority that this command was given.
        "RAY_worker_niceness": "0",
        "NO_PROXY": ",".join(filter(None, (inherited.get("NO_PROXY"), "127.0.0.1,localhost"))),
        "TMPDIR": str(room),
    }
