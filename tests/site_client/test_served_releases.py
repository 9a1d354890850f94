"""A released network is prepared beside the frames, swapped between them, and named by what it makes."""

import signal
from pathlib import Path

import torch

from model_library.cards.card import NetworkCard
from model_library.images.readers import read_provenance
from model_library.networks.build import build
from model_library.networks.config import ResidualDenoiserConfig
from model_library.networks.facts import facts
from model_library.wire.methods import NetworkRef
from model_library.wire.tasks import Denoise
from model_library.zoo.store import save_network


def drawn(folder: Path, seed: int) -> tuple[NetworkCard, bytes]:
    config = ResidualDenoiserConfig(depth=3, width=4)
    torch.manual_seed(seed)
    card = NetworkCard(
        id=f"tiny-{seed}",
        version="1",
        purpose="tests",
        task=Denoise(),
        config=config,
        facts=facts(config),
        weights_sha256="0" * 64,
    )
    card = save_network(folder, build(config), card)
    return card, (folder / "weights.safetensors").read_bytes()


def test_frames_go_on_while_a_network_is_prepared_and_each_says_what_computed_it(
    enrolled, coordinator, start_daemon, gaussian, until, tmp_path
) -> None:
    coordinator.release("r-1", gaussian)
    process = start_daemon()
    enrolled.acquire(1)
    until(lambda: enrolled.ledger.counts().reconstructed == 1, 60)
    for seed in (2, 3):
        card, weights = drawn(tmp_path / str(seed), seed)
        ref = NetworkRef(id=card.id, version=card.version, weights_sha256=card.weights_sha256)
        coordinator.release(f"r-{seed}", ref, card=card, weights=weights)
        until(lambda wanted=f"r-{seed}": enrolled.journal.in_service().release_id == wanted, 180)
        enrolled.acquire(seed)
        until(lambda count=seed: enrolled.ledger.counts().reconstructed == count, 60)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == 0
    told = sorted(
        (found["release_id"], found["parameters"].get("arithmetic", "").partition(" by ")[0])
        for found in map(read_provenance, enrolled.settings.results.glob("**/*.ome.tif"))
    )
    assert told == [("r-1", ""), ("r-2", "float32"), ("r-3", "float32")]
    # What was learnt of the architecture lies where the settings say.
    assert list((enrolled.settings.engine_cache / "architectures").iterdir())
    assert not (enrolled.folder / "engine").exists()
