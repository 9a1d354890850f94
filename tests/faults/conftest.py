"""A small fleet of real processes that can be killed: a coordinator, three sites, and all of Flower's.

`SYNOPTIC_LONG=1` runs the long forms: more kills, at more moments.
"""

import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from model_library.degradation.operators import ShotNoise
from model_library.degradation.recipe import Recipe
from model_library.images.frame import Frame
from model_library.images.writers import encode_acquisition
from model_library.specimens import SpecimenKind, render
from model_library.zoo.shipped import library_folder
from simulations.scenario import digitise
from site_client.status import SiteStatus, read_status

SYNOPTIC = (sys.executable, "-c", "from model_library.cli import main; main()")
ONE_CORE = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
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


def until(condition: Callable[[], Any], seconds: float = 120.0, what: str = "something") -> Any:
    """Await what other processes do."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"expected {what} within {seconds:.0f} s, waited in vain"
        time.sleep(0.1)
    return found


@dataclass(frozen=True)
class Running:
    """One process as the system tells of it."""

    pid: int
    parent: int
    command: str


def running() -> list[Running]:
    """Every process of this machine that can be looked at."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
            except (FileNotFoundError, ProcessLookupError):
                continue
            if state != "Z":
                found.append(Running(int(entry.name), int(parent), command))
    return found


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
    rounds: int = 3
    quorum: int = 3
    assemble_s: int = 90
    host: str = "127.0.0.1"
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

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

    def run(self, *arguments: str) -> str:
        """Run the command line to its end."""
        done = subprocess.run(
            [*SYNOPTIC, *arguments], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, name: str, *arguments: str) -> None:
        """Start a process under a name; its output is appended to a log."""
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [*SYNOPTIC, *arguments],
                stdout=log,
                stderr=log,
                env={**os.environ, **ONE_CORE},
                start_new_session=True,
            )

    def serve(self) -> None:
        """Start the coordinator, and wait until it listens."""
        (self.data / "serving.json").unlink(missing_ok=True)
        self.start("coordinator", "coordinator", "serve", "--data", str(self.data))
        until((self.data / "serving.json").exists, 60, "the coordinator to listen")

    def enrol(self, name: str) -> None:
        """Make a site, with its first frames acquired."""
        token = self.run("coordinator", "enrol-token", "--data", str(self.data)).strip().splitlines()[-1]
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
        self.start(name, "site", "run", "--folder", str(self.site(name)))

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

    def all_of(self, kind: str, name: str | None = None) -> list[Running]:
        """Processes of a kind that belong to this fleet.

        Parameters
        ----------
        kind
            Part of the command: `flower-superlink`, `flower-supernode`, `flwr-serverapp`, ...
        name
            Of a site, or `coordinator`; None for all.
        """
        everything = running()
        by_pid = {each.pid: each for each in everything}
        root = str(self.folder if name is None else self.data if name == "coordinator" else self.site(name))

        def belongs(each: Running | None) -> bool:
            while each is not None:
                if root in each.command:
                    return True
                each = by_pid.get(each.parent)
            return False

        return [each for each in everything if kind in each.command and belongs(each)]

    def kill(self, kind: str, name: str | None = None, seconds: float = 60) -> int:
        """Send SIGKILL to the first process of a kind, once there is one."""
        victim: Running = until(lambda: self.all_of(kind, name), seconds, f"a {kind} to kill")[0]
        os.kill(victim.pid, signal.SIGKILL)
        return victim.pid

    def kill_started(self, name: str) -> None:
        """Send SIGKILL to a process of ours, and to nothing else of its group."""
        self.processes[name].kill()
        self.processes[name].wait(20)

    def log(self, name: str) -> str:
        """Everything that a process of ours has written."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def end(self) -> None:
        """End everything; nothing of the fleet is left behind."""
        for process in reversed(self.processes.values()):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(20)
        until(lambda: not self.all_of(""), 20, f"no process left, {self.all_of('')}")


@pytest.fixture(scope="session", name="until")
def _until() -> Callable[..., Any]:
    """Await what other processes do."""
    return until


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
    made: list[SmallFleet] = []

    def make(sites: tuple[str, ...] = (), **facts: Any) -> SmallFleet:
        fleet = SmallFleet(tmp_path_factory.mktemp("fleet"), free_port(), **facts)
        made.append(fleet)
        fleet.found()
        fleet.serve()
        for name in sites:
            fleet.enrol(name)
        return fleet

    yield make
    for fleet in made:
        fleet.end()


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Whole lines of a JSON-lines file."""
    whole = path.read_text().rpartition("\n")[0]
    return [json.loads(line) for line in whole.splitlines()]
