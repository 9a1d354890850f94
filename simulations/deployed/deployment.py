"""The processes of one run: founded, enrolled, equipped, federated, counted, ended."""

import shutil
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from coordinator.federation.plan import START_FILE, FederationOutcome, FederationPlan
from model_library.processes.ports import free_port
from model_library.processes.supervisor import Supervisor
from model_library.wire.methods import NetworkRef
from simulations.deployed.following import Follower, plan_at
from simulations.deployed.founding import (
    acquire_into,
    enrolled_as,
    equip,
    lay_library,
)
from simulations.deployed.gauge import Gauge
from simulations.deployed.link import COORDINATOR_HOST, Links, host_of
from simulations.deployed.outages import Outages
from simulations.deployed.room import MARK, keep_logs
from simulations.fleet import (
    COORDINATOR,
    ENVIRONMENT,
    awaited,
    coordinator_toml,
    enrol_sites,
    keep_images,
    start_coordinator,
    start_daemons,
)
from simulations.fleets.conditions import Conditions
from simulations.fleets.outcome import LinkBytes, LinkRound, Memory, Outage
from simulations.fleets.sites import SiteFiles
from simulations.fleets.staging import Staging
from simulations.operator_view import Operator
from simulations.workspace import Workspace
from site_client.errors import SiteError
from site_client.journal import BytesKind
from site_client.status import SiteStatus, read_status

ROUNDS = "rounds"
"""Folder of the room in which lies what is judged."""
_READY_S = 300.0


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is run: of the sites the first ones (None: all), for so many minutes at most.

    In `hour_s` seconds an hour of the fleet's day passes. `logs`: folder of what the processes say.
    """

    sites: int | None
    minutes: float
    hour_s: float
    logs: Path


@dataclass(frozen=True, slots=True)
class Federated:
    """What came of the rounds, and what was counted meanwhile; the plan is None where none was made."""

    outcome: FederationOutcome
    plan: FederationPlan | None
    links: dict[str, LinkBytes]
    outages: tuple[Outage, ...]
    memory: Memory


class Deployment:
    """The processes of one run, from the first to the last."""

    def __init__(
        self, staging: Staging, plan: FederationPlan, sites: Sequence[SiteFiles], bounds: Bounds
    ) -> None:
        self._staging, self._plan, self._sites, self._bounds = staging, plan, sites, bounds
        self._workspace = Workspace(staging.room)
        self._port = free_port()
        self._hosts = {site.id: host_of(number) for number, site in enumerate(sites)}

    def federated(self, settings: dict[str, object]) -> Federated:
        """Found, enrol, federate, and end every process; whatever is judged then lies in the room."""
        staging, logs = self._staging, self._bounds.logs
        library = staging.room / "library"
        network = lay_library(library, staging.scenario, staging.network, self._plan)
        hosts = [COORDINATOR_HOST, *self._hosts.values()]
        served = {
            "hosts": hosts,
            "port": self._port,
            "library": str(library),
            "seed": staging.scenario.seed,
        }
        text = coordinator_toml("synoptic simulate --processes", served, federation=settings)
        environment = {**ENVIRONMENT, MARK: str(staging.room)}
        data = self._workspace.coordinator
        try:
            with (
                Links() as links,
                Supervisor(logs, environment) as supervisor,
                closing(start_coordinator(data, self._port, text, supervisor, hosts)) as operator,
            ):
                gauge = self._started(network, links, supervisor, operator)
                return self._rounds(gauge, links, supervisor, operator)
        finally:
            keep_logs(self._workspace, [site.id for site in self._sites], logs)

    def _started(
        self, network: NetworkRef, links: Links, supervisor: Supervisor, operator: Operator
    ) -> Gauge:
        """Start every daemon behind its link, have its frames acquired, and wait until all are ready."""
        workspace, staging = self._workspace, self._staging
        for each in staging.instruments:
            links.lay(each.id, self._hosts[each.id], self._port, each.mbit_per_s)
        enrolled = enrolled_as(staging.instruments)
        enrol_sites(
            enrolled,
            workspace,
            supervisor,
            operator,
            lambda site: f"https://{self._hosts[site]}:{self._port}",
        )
        for site in self._sites:  # what arrives at the coordinator is of the rounds
            keep_images(workspace.site(site.id))
        equip(workspace.coordinator, network, self._sites)
        daemons = start_daemons(enrolled, workspace, supervisor)
        for site in self._sites:
            acquire_into(workspace, site)
        self._staging.say(f"  {len(daemons)} sites enrolled, and their daemons started")
        awaited(supervisor.check, self._all_worked_off, _READY_S, "every frame to be reconstructed")
        ready = "every site to be ready to federate"
        awaited(supervisor.check, lambda: self._all_ready(operator), _READY_S, ready)
        processes = {site.id: each.process.pid for site, each in zip(self._sites, daemons, strict=True)}
        return Gauge(links.by_site, processes | {"": supervisor.pid(COORDINATOR)})

    def _rounds(self, gauge: Gauge, links: Links, supervisor: Supervisor, operator: Operator) -> Federated:
        gauge.read()
        began, federation_id = time.time(), operator.begin_federation()
        folder = self._workspace.coordinator / "federations" / federation_id
        conditions = Conditions.of(self._staging.scenario, self._staging.instruments)
        outages = Outages(conditions, self._plan.steps, self._bounds.hour_s)
        follower = Follower(self._workspace, folder, operator, supervisor, links, outages, self._staging.say)
        with gauge.reading():
            outcome = follower.follow(federation_id, self._bounds.minutes * 60)
        ended = time.time()
        if outcome.weights is not None:
            self._keep(folder, outcome.weights)
        return Federated(
            outcome=outcome,
            plan=plan_at(folder),
            links={site.id: self._passed(gauge, site, outcome, (began, ended)) for site in self._sites},
            outages=tuple(outages.ended),
            memory=Memory(
                server=gauge.own_mib[""],
                all=gauge.all_mib,
                sites={site.id: gauge.own_mib[site.id] for site in self._sites},
            ),
        )

    def _passed(
        self, gauge: Gauge, site: SiteFiles, outcome: FederationOutcome, span: tuple[float, float]
    ) -> LinkBytes:
        raw = 4 * self._staging.network.parameters
        rounds = []
        for record in outcome.rounds:
            up, down = gauge.passed(site.id, record.started_at, record.started_at + record.seconds)
            rounds.append(LinkRound(number=record.number, up=up, down=down, of_raw=up / raw))
        up, down = gauge.passed(site.id, *span)
        left = self._status(site.id).bytes_out
        return LinkBytes(
            up=up,
            down=down,
            updates=left.get(BytesKind.UPDATES, 0),
            images=left.get(BytesKind.FIRST_IMAGES, 0) + left.get(BytesKind.BENCHMARK_IMAGES, 0),
            frames=sum(Path(frame.path).stat().st_size for frame in site.trained),
            rounds=tuple(rounds),
        )

    def _keep(self, folder: Path, final: str) -> None:
        """Copy what is judged: the first and the last weights, and what sites keep for themselves."""
        room = self._staging.room / ROUNDS
        room.mkdir()
        for name in (START_FILE, final):
            shutil.copyfile(folder / name, room / name)
        for site in self._sites:
            kept = self._workspace.site(site.id) / "federation" / "kept"
            if kept.exists():
                shutil.copytree(kept, room / "kept" / site.id)

    def _status(self, site: str) -> SiteStatus:
        return read_status(self._workspace.site(site))

    def _all_worked_off(self) -> bool:
        with suppress(SiteError):  # a daemon that is just starting has no memory yet
            counts = [(self._status(site.id).frames, len(site.trained)) for site in self._sites]
            return all(told.acquired == count and told.waiting == 0 for told, count in counts)
        return False

    def _all_ready(self, operator: Operator) -> bool:
        overview = operator.overview()
        cohorts = () if overview is None else overview.cohorts
        ready = {each.site for cohort in cohorts for each in cohort.instruments if each.obstacle is None}
        return ready == {site.id for site in self._sites}
