"""A coordinator, its sites and all of Flower's processes on this machine, brought straight to the rounds.

The campaigns that come first elsewhere are left out: a tiny network stands in for what they would have
made, and the federation is written into the store while no coordinator runs, as one leaves it that was
killed right after it opened the federation.
"""

import os
import signal
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from coordinator.federation.records import Invited, Stage, Start
from model_library.errors import ProcessFailed
from model_library.images.durable import write_durably
from model_library.images.writers import encode_acquisition
from model_library.processes.ports import free_port
from model_library.processes.supervisor import Started, Supervisor
from simulations.coordinator_memory import memory_of
from simulations.fleet import (
    COORDINATOR,
    HOSTS,
    awaited,
    coordinator_toml,
    enrol_sites,
    keep_images,
    serve_coordinator,
    start_coordinator,
    start_daemon,
)
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
from simulations.processes import command, family
from simulations.scenario import SiteScenario
from simulations.workspace import Workspace

_ENDED_WITHIN_S = 120.0
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
    def _workspace(self) -> Workspace:
        return Workspace(self.folder)

    def found(self) -> None:
        """Found the coordinator, and enrol every site, with its frames acquired."""
        data, settings = self._workspace.coordinator, self._settings(0)
        with closing(start_coordinator(data, self.port, settings, self.supervisor)) as operator:
            url = f"https://127.0.0.1:{self.port}"
            enrol_sites(self.sites, self._workspace, self.supervisor, operator, lambda _: url)
        for site in self.sites:
            # Which fields are for tuning is then decided by the first claim, the same in every run.
            keep_images(self._workspace.site(site.name))
            for number, acquired in enumerate(frames_of(site)):
                file = self._workspace.acquisitions(site.name) / f"{number:04d}.tif"
                file.write_bytes(encode_acquisition(acquired.frame))

    def begin(self, wanted: Rounds) -> Path:
        """Begin a federation, the coordinator killed and started anew for it; returns its folder."""
        self.until(self.ended, _ENDED_WITHIN_S, "the federation before to end")
        os.kill(self.supervisor.pid(COORDINATOR), signal.SIGKILL)
        self.supervisor.end(COORDINATOR)
        self._started.pop(COORDINATOR, None)
        data = self._workspace.coordinator
        write_durably(data / "settings.toml", self._settings(wanted.seed).encode())
        with memory_of(data) as memory:
            place = memory.place
            network = keep_network(place.settings.networks)
            members = tuple(
                Invited(instrument_id=each.id, site=each.site_name, network=network, acquired=FRAMES)
                for each in sorted(place.identities.all(), key=lambda each: each.id)
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
            opened = place.federations.open(
                "loopback", start.model_dump_json(), Stage.ASSEMBLING, time.time()
            )
        if opened is None:
            raise ProcessFailed("expected no federation under way, found one; wait for its end")
        for name in (COORDINATOR, *(site.name for site in self.sites)):
            if name not in self._started:
                self._start(name)
        return place.settings.federations / opened

    def ended(self) -> bool:
        """Whether no federation is under way."""
        with memory_of(self._workspace.coordinator) as memory:
            return not memory.place.federations.is_under_way()

    def until(self, condition: Callable[[], object], seconds: float, what: str) -> None:
        """Await what the processes do, and start again those that die.

        Raises
        ------
        ProcessFailed
            Not in time.
        """
        awaited(self.keep_up, condition, seconds, what)

    def keep_up(self) -> None:
        """Start again what has died, a second after it was started last at the earliest."""
        for name, started in [*self._started.items()]:
            dead = started.process.poll() is not None
            if dead and time.monotonic() > self._since[name] + _START_AGAIN_S:
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

    def _start(self, name: str) -> None:
        self._since[name] = time.monotonic()
        if name == COORDINATOR:
            self._started[name] = serve_coordinator(self._workspace.coordinator, self.supervisor)
        else:
            self._started[name] = start_daemon(self._workspace.site(name), self.supervisor)

    def _settings(self, seed: int) -> str:
        return coordinator_toml(
            "simulations.kills.measure",
            {
                "hosts": HOSTS,
                "port": self.port,
                "seed": seed,
                "first_images": 200,  # more than there are: no campaign begins
                "every_n": 1000,
            },
            federation={
                "automatic": False,
                "steps": STEPS,
                "batch": BATCH,
                "patch_px": PATCH_PX,
                "learning_rate": LEARNING_RATE,
            },
        )
