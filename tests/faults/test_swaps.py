"""Networks are swapped while frames come and the daemon is killed: each frame is one network's, wholly."""

import os
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_library.cards.card import NetworkCard
from model_library.images.readers import read_frame, read_provenance
from model_library.inference.engine import NetworkMethod, load_network
from model_library.networks.build import build
from model_library.networks.config import ResidualDenoiserConfig
from model_library.networks.facts import facts
from model_library.processes.supervisor import Supervisor
from model_library.wire.methods import NetworkRef
from model_library.wire.tasks import Denoise
from model_library.zoo.registry import Library
from model_library.zoo.store import save_network
from simulations.fleet import ENVIRONMENT
from simulations.replay.accounts import Entry, losses, read_results
from simulations.replay.frames import Written
from simulations.replay.rig import Rig
from simulations.replay.writer import Block, Writer

KILLS = 200 if os.environ.get("SYNOPTIC_LONG") == "1" else 8
FRAMES_PER_KILL = 3
SIDE_PX = 64
SEED = 11
LONGEST_LIFE_S = 5.0

pytestmark = pytest.mark.timeout(60 * KILLS)


@dataclass(frozen=True)
class Battered:
    """What is left after all the kills."""

    library: Path
    rig: Rig
    written: list[Written]
    published: dict[str, NetworkRef]
    rows: list[dict[str, Any]]

    def results(self) -> dict[str, Path]:
        """Result files by the digest of the frame that they are of."""
        found = {}
        for path in sorted(self.rig.results.rglob("*.tif")):
            found[read_provenance(path)["source"]["sha256"]] = path
        return found


def make_networks(library: Path) -> list[NetworkRef]:
    """Two untrained networks whose answers are far apart."""
    import torch

    refs = []
    for number in range(2):
        config = ResidualDenoiserConfig(depth=3, width=4)
        torch.manual_seed(number)
        card = NetworkCard(
            id=f"swapped-{number}",
            version="1",
            purpose="Tests.",
            task=Denoise(),
            config=config,
            facts=facts(config),
            weights_sha256="0" * 64,
        )
        saved = save_network(library / card.id, build(config), card)
        refs.append(NetworkRef(id=saved.id, version=saved.version, weights_sha256=saved.weights_sha256))
    return refs


@pytest.fixture(scope="module")
def battered(tmp_path_factory: pytest.TempPathFactory) -> Battered:
    folder, library = tmp_path_factory.mktemp("swaps"), tmp_path_factory.mktemp("library")
    networks = make_networks(library)
    chance, writer = np.random.default_rng(SEED), Writer()
    with Supervisor(folder / "log", ENVIRONMENT) as supervisor:
        rig = Rig(folder, supervisor, library=library)
        rig.found(heartbeat_s=0.3, federate=False)
        published: dict[str, NetworkRef] = {}
        written: list[Written] = []

        def release(number: int) -> str:
            release_id = rig.release(networks[number % 2])
            published[release_id] = networks[number % 2]
            return release_id

        newest, daemon = release(0), rig.start_daemon()
        with rig.read() as reader:
            for number in range(1, KILLS + 1):
                # Every third swap may end before the next begins, so that both networks come to work.
                if number % 3 == 1:
                    rig.until(lambda newest=newest: reader.serves(newest), 120, f"{newest} to be installed")
                newest = release(number)
                written += writer.write(
                    Block(
                        folder=rig.acquisitions,
                        first=1 + FRAMES_PER_KILL * (number - 1),
                        count=FRAMES_PER_KILL,
                        side_px=SIDE_PX,
                        seed=SEED,
                    )
                )
                with pytest.raises(subprocess.TimeoutExpired):
                    daemon.process.wait(chance.uniform(0.0, LONGEST_LIFE_S))
                daemon.process.kill()
                daemon.process.wait()
                daemon = rig.start_daemon()
            rig.until(lambda: reader.serves(newest), 120, "the last release to be installed")
            rig.until(
                lambda: reader.memory.ledger.counts().reconstructed >= len(written),
                120,
                "every frame's result",
            )
            rows = [dict(row) for row in reader.rows()]
    return Battered(library, rig, written, published, rows)


def test_every_frame_is_done_once(battered: Battered) -> None:
    entries = [
        Entry(row["sha256"], row["state"], row["arrived_at"], row["finished_at"], row["busy_s"])
        for row in battered.rows
    ]
    assert len(entries) == KILLS * FRAMES_PER_KILL
    found = losses(battered.written, entries, read_results(battered.rig.results))
    assert not found.any, found


def test_the_ledger_and_the_result_name_the_same_release_and_network(battered: Battered) -> None:
    results = battered.results()
    for row in battered.rows:
        told = read_provenance(results[row["sha256"]])
        named = battered.published[told["release_id"]]
        assert row["release_id"] == told["release_id"]
        assert told["method"]["id"] == named.id
        assert told["method"]["weights_sha256"] == named.weights_sha256
        assert NetworkRef.model_validate_json(row["method"]) == named


def test_each_result_is_that_of_the_network_that_it_names_and_of_no_other(battered: Battered) -> None:
    methods = {}
    for name in ("swapped-0", "swapped-1"):
        network = load_network(Library(battered.library).path(name))
        methods[name] = NetworkMethod(network, tile_px=SIDE_PX, threads=1)
    used: Counter[str] = Counter()
    results = battered.results()
    for frame in battered.written:
        source = read_frame(battered.rig.acquisitions / frame.name).grey
        result = results[frame.sha256]
        named = read_provenance(result)["method"]["id"]
        errors = {
            name: float(np.abs(method(source).clip(0, 65_535) - read_frame(result).grey).max())
            for name, method in methods.items()
        }
        [other] = errors.keys() - {named}
        assert errors[named] < 0.1 * errors[other], (frame.name, named, errors)
        used[named] += 1
    assert set(used) == {"swapped-0", "swapped-1"}


def test_the_swaps_went_on_all_the_while(battered: Battered) -> None:
    served = {row["release_id"] for row in battered.rows}
    assert len(served) >= KILLS // 3
