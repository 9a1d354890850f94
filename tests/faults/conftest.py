"""A small fleet of real processes that can be killed: a coordinator, three sites, and all of Flower's.

`SYNOPTIC_LONG=1` runs the long forms: more kills, at more moments.
"""

import json
import os
import shutil
import signal
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from coordinator.founding import new_enrolment_token
from model_library.degradation.operators import ShotNoise
from model_library.degradation.recipe import Recipe
from model_library.images.frame import Frame
from model_library.images.writers import encode_acquisition
from model_library.processes.supervisor import Supervisor
from model_library.specimens import SpecimenKind, render
from model_library.zoo.shipped import library_folder
from simulations.fleet import COORDINATOR, ENVIRONMENT, serve_coordinator, synoptic
from simulations.processes import command, families
from simulations.scenario import digitise
from site_client.status import SiteStatus, read_status

from ..running import naming
from ..waiting import until

SIDE_PX = 128
DOSE = 30.0
FIRST_IMAGES = 14
EVERY_N = 5


_RECIPE = Recipe(operators=(ShotNoise(electrons_per_pixel=DOSE), digitise(16)))
_SETTINGS = """\
hosts = ["127.0.0.1", "127.0.0.2"]
port = {port}
library = "{library}"
first_images = {first_images}
every_n = {every_n}

[tuning]
steps = 2

[federation]
quorum = {quorum}
rounds = {rounds}
steps = 2
assemble_s = {assemble_s}
round_s = 60
quarantine_after = 4
"""


def frame_bytes(site: str, number: int) -> bytes:
    """A simulated micrograph of cells as the instrument of a site writes it; a field of its own."""
    words = [7, *site.encode(), number]
    intensity = render(SpecimenKind.CELLS, (SIDE_PX, SIDE_PX), np.random.default_rng(words)).intensity
    counts = _RECIPE.apply(intensity, np.random.default_rng([*words, 1])).astype(np.uint16)
    return encode_acquisition(Frame(counts, 4.0, f"{site}-{number:04d}"))


@dataclass
class SmallFleet:
    """A coordinator and site daemons in one folder, each in its own process group."""

    folder: Path
    port: int
    supervisor: Supervisor
    rounds: int = 3
    quorum: int = 3
    assemble_s: int = 90
    host: str = "127.0.0.1"

    @property
    def data(self) -> Path:
        """The coordinator's folder."""
        return self.folder / "coordinator"

    def site(self, name: str) -> Path:
        """Folder of a site daemon."""
        return self.folder / "sites" / name

    def found(self) -> None:
        """Found the coordinator, with a library of two networks."""
        library = self.folder / "library"
        for network in ("unet-denoise-shot", "unet-denoise-read"):
            shutil.copytree(library_folder() / network, library / network)
        hosts = ("--host", "127.0.0.1", "--host", "127.0.0.2")
        self.run("coordinator", "init", "--data", str(self.data), *hosts, "--port", str(self.port))
        (self.data / "settings.toml").write_text(
            _SETTINGS.format(
                port=self.port,
                library=library,
                first_images=FIRST_IMAGES,
                every_n=EVERY_N,
                rounds=self.rounds,
                quorum=self.quorum,
                assemble_s=self.assemble_s,
            )
        )

    def run(self, *arguments: str) -> None:
        """Run the command line to its end."""
        self.supervisor.run("run", synoptic(*arguments))

    def start(self, name: str, arguments: Sequence[str]) -> None:
        """Start a process under a name; its output is appended to a log."""
        self.supervisor.start(name, arguments)

    def serve(self) -> None:
        """Start the coordinator, and wait until it listens."""
        (self.data / "serving.json").unlink(missing_ok=True)
        serve_coordinator(self.data, self.supervisor)
        until((self.data / "serving.json").exists, 60, "the coordinator to listen")

    def enrol(self, name: str) -> None:
        """Make a site, with its first frames acquired."""
        token = new_enrolment_token(self.data, time.time())
        self.run(
            *("site", "enrol", f"https://{self.host}:{self.port}", token, "--folder", str(self.site(name))),
            *("--name", name, "--acquisitions", str(self.folder / "acquisitions" / name)),
        )
        self.acquire(name, 1, FIRST_IMAGES + 2 * EVERY_N)

    def acquire(self, name: str, first: int, last: int) -> None:
        """Write frames as an instrument does: seen only once whole."""
        folder = self.folder / "acquisitions" / name
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(first, last + 1):
            hidden = folder / f".{number}.part"
            hidden.write_bytes(frame_bytes(name, number))
            hidden.rename(folder / f"{name}_{number:04d}.tif")

    def run_site(self, name: str) -> None:
        """Start a site daemon."""
        self.start(name, synoptic("site", "run", "--folder", str(self.site(name))))

    def status(self, name: str) -> SiteStatus:
        """What `synoptic site status` tells."""
        return read_status(self.site(name))

    def overview(self) -> dict[str, Any] | None:
        """What the operator sees; None while the coordinator does not answer."""
        trust = ssl.create_default_context(cafile=str(self.data / "tls" / "ca.pem"))
        token = (self.data / "operator.token").read_text()
        try:
            with httpx.Client(verify=trust, timeout=20, trust_env=False) as client:
                answer = client.get(
                    f"https://127.0.0.1:{self.port}/v1/overview", headers={"Authorization": f"Bearer {token}"}
                )
        except httpx.TransportError:
            return None
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told

    def federation(self) -> dict[str, Any] | None:
        """The newest federation, as the operator sees it."""
        seen = self.overview()
        return seen["federations"][-1] if seen and seen.get("federations") else None

    def over(self) -> dict[str, Any] | None:
        """The newest federation, once it is over."""
        found = self.federation()
        return found if found is not None and found["stage"] in {"done", "failed"} else None

    def all_of(self, kind: str, name: str | None = None) -> list[int]:
        """Processes of a kind that belong to this fleet.

        Parameters
        ----------
        kind
            Part of the command: `flower-superlink`, `flower-supernode`, `flwr-serverapp`, ...
        name
            Of a site, or `coordinator`; None for all.
        """
        root = self.folder if name is None else self.data if name == COORDINATOR else self.site(name)
        members = {pid for found in families(naming(root)).values() for pid in found}
        # One that has ended has no command any more.
        return [pid for pid in sorted(members) if (line := command(pid)) and kind in line]

    def kill(self, kind: str, name: str | None = None, seconds: float = 60) -> int:
        """Send SIGKILL to the first process of a kind, once there is one."""
        victim: int = until(lambda: self.all_of(kind, name), seconds, f"a {kind} to kill")[0]
        os.kill(victim, signal.SIGKILL)
        return victim

    def kill_started(self, name: str) -> None:
        """Send SIGKILL to a process of ours, and to nothing else of its group."""
        os.kill(self.supervisor.pid(name), signal.SIGKILL)
        until(lambda: not self.supervisor.alive(name), 20, f"{name} to end")

    def end(self) -> None:
        """End everything; nothing of the fleet is left behind."""
        self.supervisor.stop()
        until(lambda: not self.all_of(""), 20, f"no process left, {self.all_of('')}")


@pytest.fixture(scope="session", name="lines")
def _lines() -> Callable[[Path], list[dict[str, Any]]]:
    """Read a JSON-lines file."""
    return read_lines


def free_port() -> int:
    """A port that is free on every loopback address used here."""
    import socket

    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        port = int(first.getsockname()[1])
        second.bind(("127.0.0.2", port))
        return port


@pytest.fixture(scope="module")
def small_fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., SmallFleet]]:
    """Make fleets that are ended with the module."""
    ended = ExitStack()

    def make(sites: tuple[str, ...] = (), **facts: Any) -> SmallFleet:
        folder = tmp_path_factory.mktemp("fleet")
        supervisor = ended.enter_context(Supervisor(folder, ENVIRONMENT))
        fleet = SmallFleet(folder, free_port(), supervisor, **facts)
        ended.callback(fleet.end)
        fleet.found()
        fleet.serve()
        for name in sites:
            fleet.enrol(name)
        return fleet

    with ended:
        yield make


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Whole lines of a JSON-lines file."""
    whole = path.read_text().rpartition("\n")[0]
    return [json.loads(line) for line in whole.splitlines()]
