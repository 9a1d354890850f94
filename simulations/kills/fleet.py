"""A coordinator, its sites and all of Flower's processes on this machine, brought straight to the rounds.

The campaigns that come first elsewhere are left out: a tiny network stands in for what they would have
made, and the federation is written into the store while no coordinator runs, as one leaves it that was
killed right after it opened the federation.
"""

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from coordinator.federation.records import Invited, Stage, Start
from coordinator.founding import found, new_enrolment_token
from coordinator.settings import read_settings
from coordinator.store.database import Database
from coordinator.store.federations import Federations
from coordinator.store.identities import Identities
from model_library.errors import ProcessFailed
from model_library.images.writers import encode_acquisition
from model_library.processes.supervisor import Started, Supervisor
from simulations.fleet import synoptic
from simulations.kills.network import (
    BATCH,
    CONFIG,
    FRAMES,
    LEARNING_RATE,
    PATCH_PX,
    STEPS,
    TASK,
    frames_of,
    keep_network,
)
from simulations.operator_view import Operator
from simulations.processes import command, family
from simulations.scenario import SiteScenario
from site_client.identity import enrol
from site_client.settings import SiteSettings

HOST = "127.0.0.1"
COORDINATOR = "coordinator"
_UP_WITHIN_S = 90.0
_ENDED_WITHIN_S = 120.0
_LOOK_S = 0.1
_START_AGAIN_S = 1.0
"""As a service manager that starts again what has died."""

Kind = Literal[
    "coordinator",
    "superlink",
    "server superexec",
    "server app",
    "site daemon",
    "supernode",
    "site superexec",
    "client app",
    "trainer",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
_AT_COORDINATOR: dict[str, Kind] = {
    "flower-superlink": "superlink",
    "flower-superexec": "server superexec",
    "flwr-serverapp": "server app",
}
_AT_SITE: dict[str, Kind] = {
    "flower-supernode": "supernode",
    "flower-superexec": "site superexec",
    "flwr-clientapp": "client app",
    "site_client.trainer": "trainer",
}
_SETTINGS = """\
hosts = ["{host}"]
port = {port}
seed = {seed}
first_images = 200    # more than there are: no campaign begins
every_n = 1000

[federation]
automatic = false
steps = {steps}
batch = {batch}
patch_px = {patch_px}
learning_rate = {learning_rate}
"""


@dataclass(frozen=True, slots=True)
class Rounds:
    """What a federation is to do; times in seconds."""

    seed: int
    rounds: int
    quorum: int
    round_s: float
    assemble_s: float


@dataclass(frozen=True, slots=True)
class Living:
    """A process of the fleet: what it is, and at which site or the coordinator."""

    kind: Kind
    where: str
    pid: int


def free_port() -> int:
    """Find a port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class LoopbackFleet:
    """The lasting processes, each started again when it dies; their children are their own affair."""

    folder: Path
    sites: tuple[SiteScenario, ...]
    supervisor: Supervisor
    port: int = field(default_factory=free_port)
    _started: dict[str, Started] = field(default_factory=dict)
    _since: dict[str, float] = field(default_factory=dict)

    @property
    def data(self) -> Path:
        """The coordinator's folder."""
        return self.folder / COORDINATOR

    def found(self) -> None:
        """Found the coordinator, and enrol every site, with its frames acquired."""
        found(self.data, [HOST], self.port, time.time())
        self._set(seed=0)
        self._start(COORDINATOR)
        self.until(Operator(self.data, self.port).is_up, _UP_WITHIN_S, "the coordinator to answer")
        for site in self.sites:
            acquisitions = self.folder / "acquisitions" / site.name
            acquisitions.mkdir(parents=True)
            for number, acquired in enumerate(frames_of(site)):
                (acquisitions / f"{number:04d}.tif").write_bytes(encode_acquisition(acquired.frame))
            settings = SiteSettings(
                coordinator_url=f"https://{HOST}:{self.port}",
                site_name=site.name,
                task=site.task,
                acquisitions=acquisitions,
                results=self.folder / "results" / site.name,
                # Which fields are for tuning is then decided by the first claim, the same in every run.
                most_first_images_per_day=0,
                most_benchmark_images_per_day=0,
            )
            enrol(self._site(site.name), settings, new_enrolment_token(self.data, time.time()))

    def begin(self, wanted: Rounds) -> Path:
        """Begin a federation, the coordinator killed and started anew for it; returns its folder."""
        self.until(self.ended, _ENDED_WITHIN_S, "the federation before to end")
        started = self._started.pop(COORDINATOR)
        started.process.kill()
        self.supervisor.end(COORDINATOR)
        self._set(wanted.seed)
        settings = read_settings(self.data)
        database = Database(settings.database)
        network = keep_network(settings.networks)
        members = tuple(
            Invited(instrument_id=each.id, site=each.site_name, network=network, acquired=FRAMES)
            for each in sorted(Identities(database).all(), key=lambda each: each.id)
        )
        start = Start(
            task=TASK,
            config=CONFIG,
            pixel_size_nm=None,
            members=members,
            quorum=wanted.quorum,
            rounds=wanted.rounds,
            assemble_s=wanted.assemble_s,
            round_s=wanted.round_s,
        )
        opened = Federations(database).open(
            "loopback", start.model_dump_json(), Stage.ASSEMBLING, time.time()
        )
        database.close()
        if opened is None:
            raise ProcessFailed("expected no federation under way, found one; wait for its end")
        for name in (COORDINATOR, *(site.name for site in self.sites)):
            if name not in self._started:
                self._start(name)
        return settings.federations / opened

    def ended(self) -> bool:
        """Whether no federation is under way."""
        database = Database(read_settings(self.data).database)
        try:
            return not Federations(database).is_under_way()
        finally:
            database.close()

    def until(self, condition: Callable[[], object], seconds: float, what: str) -> None:
        """Await what the processes do, and start again those that die.

        Raises
        ------
        ProcessFailed
            Not in time.
        """
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise ProcessFailed(f"expected {what} within {seconds:.0f} s; see {self.folder}")
            self.keep_up()
            time.sleep(_LOOK_S)

    def keep_up(self) -> None:
        """Start again what has died, a second after it was started last at the earliest."""
        for name in [*self._started]:
            if not self.supervisor.alive(name) and time.monotonic() > self._since[name] + _START_AGAIN_S:
                self._start(name)

    def living(self) -> tuple[Living, ...]:
        """List every process that takes part in the federation now."""
        found: list[Living] = []
        for name, started in self._started.items():
            own: Kind = "coordinator" if name == COORDINATOR else "site daemon"
            kinds = _AT_COORDINATOR if name == COORDINATOR else _AT_SITE
            first, *others = family(started.process.pid)
            if command(first):
                found.append(Living(own, name, first))
            said = [(pid, command(pid)) for pid in others]
            found += [Living(kinds[part], name, pid) for pid, line in said for part in kinds if part in line]
        return tuple(found)

    def _site(self, name: str) -> Path:
        return self.folder / "sites" / name

    def _start(self, name: str) -> None:
        if name == COORDINATOR:
            arguments = synoptic("coordinator", "serve", "--data", str(self.data))
        else:
            arguments = synoptic("site", "run", "--folder", str(self._site(name)))
        self._since[name] = time.monotonic()
        self._started[name] = self.supervisor.start(name, arguments)

    def _set(self, seed: int) -> None:
        text = _SETTINGS.format(
            host=HOST,
            port=self.port,
            seed=seed,
            steps=STEPS,
            batch=BATCH,
            patch_px=PATCH_PX,
            learning_rate=LEARNING_RATE,
        )
        (self.data / "settings.toml").write_text(text)
