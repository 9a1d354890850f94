"""Networks take turns while frames come and the daemon is killed; `swap_accounts` judges what is left."""

import os
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from model_library.cards.card import NetworkCard
from model_library.networks.config import ResidualDenoiserConfig
from model_library.processes.supervisor import Supervisor
from model_library.wire.methods import NetworkRef
from model_library.wire.tasks import Denoise
from simulations.fleet import ENVIRONMENT
from simulations.replay.frames import Written
from simulations.replay.rig import Reader, Rig
from simulations.replay.writer import Block, Writer

_KILL_WORD = 74
_AWAITED = 3
"""One swap in so many may end before the next begins, so that every network comes to work."""
_WITHIN_S = 120.0


@dataclass(frozen=True, slots=True)
class SwapPlan:
    """A release, `frames_per_kill` frames and a kill within `longest_life_s` of them, `kills` times.

    With more `networks` than a site keeps (4), a release is mostly of one that must be installed anew.
    """

    kills: int
    networks: int = 6
    frames_per_kill: int = 3
    side_px: int = 64
    longest_life_s: float = 3.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Battered:
    """What is left after all the kills.

    Attributes
    ----------
    library
        Holds the networks.
    published
        Which network each release is of.
    rows
        Of the ledger.
    mid_swap
        Kills that struck before the newest release was in service.
    """

    library: Path
    acquisitions: Path
    results: Path
    written: tuple[Written, ...]
    published: dict[str, NetworkRef]
    rows: tuple[dict[str, Any], ...]
    mid_swap: int
    seconds: float
    load_before: float


def make_networks(library: Path, count: int, seed: int) -> list[NetworkRef]:
    """Save untrained networks, whose answers are far apart."""
    import torch

    from model_library.networks.build import build
    from model_library.networks.facts import facts
    from model_library.training.chance import seeded
    from model_library.zoo.store import save_network

    config = ResidualDenoiserConfig(depth=3, width=4)
    refs = []
    for number in range(count):
        card = NetworkCard(
            id=f"swapped-{number}",
            version="1",
            purpose="Tells which of several networks made a result.",
            task=Denoise(),
            config=config,
            facts=facts(config),
            weights_sha256="0" * 64,
        )
        with seeded(np.random.SeedSequence([seed, number]), torch.device("cpu")):
            refs.append(save_network(library / card.id, build(config), card).ref)
    return refs


def batter(folder: Path, plan: SwapPlan, tell: Callable[[str], None]) -> Battered:
    """Swap and kill in a folder; every process has ended when this returns or raises.

    Raises
    ------
    ProcessFailed
        A process ends in failure, or something does not come about in time.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with Supervisor(folder / "log", ENVIRONMENT) as supervisor:
        return _Turns(folder, plan, supervisor).run(tell)


class _Turns:
    def __init__(self, folder: Path, plan: SwapPlan, supervisor: Supervisor) -> None:
        self._plan = plan
        self._library = folder / "library"
        self._networks = make_networks(self._library, plan.networks, plan.seed)
        self._rig = Rig(folder, supervisor, library=self._library)
        self._chance = np.random.default_rng([_KILL_WORD, plan.seed])
        self._writer = Writer()
        self._published: dict[str, NetworkRef] = {}
        self._written: list[Written] = []
        self._mid_swap = 0

    def run(self, tell: Callable[[str], None]) -> Battered:
        load_before, rig = os.getloadavg()[0], self._rig
        tell("founding a coordinator, enrolling a site")
        rig.found(heartbeat_s=0.3, federate=False)
        self._newest = self._release()
        self._daemon = rig.start_daemon()
        with rig.read() as reader:
            self._await_swap(reader)
            began = time.monotonic()
            for number in range(1, self._plan.kills + 1):
                self._turn(number, reader)
                tell(f"kill {number} of {self._plan.kills}, {self._mid_swap} of them in mid-swap")
            self._await_swap(reader)
            rig.until(
                lambda: reader.memory.ledger.counts().reconstructed >= len(self._written),
                _WITHIN_S,
                "every frame's result",
            )
            rows = tuple(dict(row) for row in reader.rows())
        return Battered(
            library=self._library,
            acquisitions=rig.acquisitions,
            results=rig.results,
            written=tuple(self._written),
            published=self._published,
            rows=rows,
            mid_swap=self._mid_swap,
            seconds=time.monotonic() - began,
            load_before=load_before,
        )

    def _turn(self, number: int, reader: Reader) -> None:
        if number % _AWAITED == 1:
            self._await_swap(reader)
        self._newest = self._release()
        plan = self._plan
        block = Block(
            folder=self._rig.acquisitions,
            first=1 + plan.frames_per_kill * (number - 1),
            count=plan.frames_per_kill,
            side_px=plan.side_px,
            seed=plan.seed,
        )
        self._written += self._writer.write(block)
        with suppress(subprocess.TimeoutExpired):
            self._daemon.process.wait(self._chance.uniform(0.0, plan.longest_life_s))
        # Looked at just before: a swap that ends in between counts as under way.
        self._mid_swap += not reader.serves(self._newest)
        self._daemon.process.kill()
        self._daemon.process.wait()
        self._daemon = self._rig.start_daemon()

    def _release(self) -> str:
        """Publish a network other than the last."""
        last = next(reversed(self._published.values()), None)
        others = [network for network in self._networks if network != last]
        network = others[self._chance.integers(len(others))]
        release_id = self._rig.release(network)
        self._published[release_id] = network
        return release_id

    def _await_swap(self, reader: Reader) -> None:
        newest = self._newest
        self._rig.until(lambda: reader.serves(newest), _WITHIN_S, f"{newest} to be installed")
