"""What federates on loopback: simulated microscopes, their frames, and a tiny network to begin with."""

from pathlib import Path
from typing import TYPE_CHECKING

from model_library.cards.card import NetworkCard
from model_library.degradation.operators import ShotNoise
from model_library.degradation.recipe import Recipe
from model_library.networks.config import ResidualDenoiserConfig
from model_library.networks.facts import facts
from model_library.signing.digests import sha256_bytes
from model_library.specimens import SpecimenKind
from model_library.wire.methods import NetworkRef
from model_library.wire.tasks import Denoise
from simulations.acquisition import Acquired, acquire
from simulations.scenario import SiteScenario, Specimens, digitise

if TYPE_CHECKING:
    from model_library.inference.weights import LoadedNetwork

TASK = Denoise()
CONFIG = ResidualDenoiserConfig(depth=4, width=12)
FRAMES = 16
STEPS, BATCH, PATCH_PX, LEARNING_RATE = 10, 4, 32, 1e-3
_HELD_OUT = 3
_FRAME_PX = 128
_SEED = 0
"""The same frames whatever the seed of the training: what differs between runs is then the training."""


def sites_of(count: int) -> tuple[SiteScenario, ...]:
    """Simulate instruments of one kind, each with a dose of its own."""
    return tuple(
        SiteScenario(
            name=f"site-{number}",
            task=TASK,
            source=Specimens(specimen=SpecimenKind.CELLS, frame_px=_FRAME_PX),
            recipe=Recipe(operators=(ShotNoise(electrons_per_pixel=15.0 + 5.0 * number), digitise(16))),
            frames=FRAMES + _HELD_OUT,
            told="simulated cells",
        )
        for number in range(1, count + 1)
    )


def held_out(sites: tuple[SiteScenario, ...]) -> tuple[Acquired, ...]:
    """Acquire frames with truth that no site trains on."""
    return tuple(
        acquire(site, number, _SEED) for site in sites for number in range(FRAMES, FRAMES + _HELD_OUT)
    )


def frames_of(site: SiteScenario) -> tuple[Acquired, ...]:
    """Acquire the frames that a site trains on."""
    return tuple(acquire(site, number, _SEED) for number in range(FRAMES))


def loopback_network() -> "LoadedNetwork":
    """Make the network that the rounds begin with: freshly initialised, always the same."""
    import torch

    from model_library.inference.weights import assemble
    from model_library.networks.build import build
    from model_library.zoo.store import weights_bytes

    with torch.random.fork_rng():
        torch.manual_seed(0)
        content = weights_bytes(build(CONFIG))
    card = NetworkCard(
        id="residual-denoiser-12",
        version="1",
        purpose="Stands in for what campaigns make.",
        task=TASK,
        config=CONFIG,
        facts=facts(CONFIG),
        weights_sha256=sha256_bytes(content),
    )
    return assemble(card, content, source="the network at the start")


def keep_network(networks: Path) -> NetworkRef:
    """Keep that network as if a campaign had made it."""
    from model_library.zoo.store import save_network

    network = loopback_network()
    return save_network(networks / network.card.weights_sha256, network.module, network.card).ref
