"""What the federated network is held against: the same steps at each site alone, and in one place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from coordinator.federation.plan import FederationPlan
from model_library.cards.adaptation import AdaptationPlan
from model_library.images.intensity import Scaling
from model_library.networks.build import build
from model_library.training.fit import FitConfig, fit
from model_library.training.objectives import PairObjective
from model_library.training.pairs import PATCHES_PER_IMAGE, PairSource, RecorruptedPairs
from simulations.fleets.sites import SiteFiles
from site_client.adapt import Material, adapt
from site_client.federation.kept import KeptArrays
from site_client.trainer import read_frames

Weights = Mapping[str, NDArray[Any]]

_SPARED = 8
"""A federation spares one frame in so many; whoever is compared with it learns from no more than it does."""


@dataclass(frozen=True, slots=True)
class MixedPairs:
    """Pairs of several instruments, each with noise of its own, in turn as chance has it."""

    sources: Sequence[RecorruptedPairs]

    def batch(self, size: int, patch_px: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """See `PairSource`."""
        sizes = [min(PATCHES_PER_IMAGE, size - done) for done in range(0, size, PATCHES_PER_IMAGE)]
        chosen = [self.sources[int(rng.integers(len(self.sources)))] for _ in sizes]
        drawn = [source.batch(part, patch_px, rng) for source, part in zip(chosen, sizes, strict=True)]
        return torch.cat([pair[0] for pair in drawn]), torch.cat([pair[1] for pair in drawn])


def material_of(files: SiteFiles) -> Material:
    """Read what a site learns from, as its trainer does."""
    return Material.of(read_frames([frame.model_dump(exclude={"labels"}) for frame in files.trained]))


def alone(material: Material, weights: Weights, plan: FederationPlan) -> Weights:
    """Learn at one site alone, in as many parts of as many steps as the federation has rounds."""
    free = plan.model_copy(update={"travels": None, "keeps": ()})
    for number in range(1, plan.rounds + 1):
        weights = _adapted(material, weights, free, number, plan.steps)
    return weights


def personalised(material: Material, weights: Weights, plan: FederationPlan, steps: int) -> Weights:
    """Learn on at one site, from the network of the federation."""
    free = plan.model_copy(update={"travels": None, "keeps": ()})
    return _adapted(material, weights, free, plan.rounds + 1, steps)


def pooled(materials: Sequence[Material], weights: Weights, plan: FederationPlan, steps: int) -> Weights:
    """Learn from the frames of all sites in one place, in one go."""
    sources = [RecorruptedPairs(images=_frames(each, plan), noise=each.noise) for each in materials]
    source: PairSource = MixedPairs(sources)
    config = FitConfig(
        steps=steps,
        batch=plan.batch,
        patch_px=plan.patch_px,
        learning_rate=plan.learning_rate,
        loss=plan.adaptation(1).loss,
        seed=plan.seed,
    )
    reached = fit(module_of(weights, plan), PairObjective(source), config).module
    return {key: tensor.detach().numpy() for key, tensor in reached.state_dict().items()}


def with_own(weights: Weights, plan: FederationPlan, room: Path, site: str) -> Weights:
    """Put in what a site keeps for itself (FedBN)."""
    own = KeptArrays(room / "kept" / site, plan.federation_id).before(plan.rounds + 1, weights).own
    return {**weights, **{key: array for key, array in own.items() if key in plan.keeps}}


def restored(module: nn.Module, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Restore a frame [Y, X], counts, in one piece."""
    scaling = Scaling.of(pixels)
    with torch.no_grad():
        unit = module(torch.from_numpy(scaling.apply(pixels))[None, None])[0, 0]
    found: NDArray[np.float32] = scaling.invert(unit.numpy())
    return found


def segmented(module: nn.Module, pixels: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Give each pixel of a frame [Y, X], counts, the class of the highest score."""
    with torch.no_grad():
        scores = module(torch.from_numpy(Scaling.of(pixels).apply(pixels))[None, None])[0]
    return np.asarray(scores.argmax(dim=0).numpy(), np.uint8)


def module_of(weights: Weights, plan: FederationPlan | AdaptationPlan) -> nn.Module:
    """Build the plan's network with these weights."""
    module = build(plan.config)
    module.load_state_dict({key: torch.from_numpy(np.array(array)) for key, array in weights.items()})
    return module.eval()


def _adapted(material: Material, weights: Weights, plan: FederationPlan, number: int, steps: int) -> Weights:
    # Of a number after the last round, the plan would ask for something else.
    told = plan.adaptation(1).model_copy(
        update={"number": number, "seed": plan.seed + number, "steps": steps, "proximal": 0.0}
    )
    update, _ = adapt(material, weights, told, stop=lambda: False, clock=lambda: 0.0)
    return {key: weights[key] + update[key] if key in update else weights[key] for key in weights}


def _frames(material: Material, plan: FederationPlan) -> list[NDArray[np.float32]]:
    frames = [frame.pixels for frame in material.frames][: plan.most_frames]
    return frames[: len(frames) - len(frames) // _SPARED]
