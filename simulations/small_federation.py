"""Three simulated microscopes that federate in this process: what rounds cost is measured on them."""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmark.metrics.pointwise import psnr
from coordinator.federation.joining import Contribution, aggregate
from coordinator.federation.validation import norm
from model_library.cards.adaptation import AdaptationPlan
from model_library.wire.tasks import Denoise
from simulations.acquisition import Acquired, acquire
from simulations.default_fleet import default_scenario

if TYPE_CHECKING:
    from model_library.inference.weights import LoadedNetwork
    from site_client.adapt import Material

_SITES = ("cortex", "cerebellum", "retina")
_FRAMES, _HELD_OUT = 8, 3

Arrays = Mapping[str, NDArray[Any]]
Travel = Callable[[int, int, Arrays], Arrays]
"""Round, site and its update as trained -> the update as it arrives."""


@dataclass(frozen=True, slots=True)
class Site:
    """What one site trains on, and frames with truth that it does not."""

    material: "Material"
    held_out: tuple[Acquired, ...]


@dataclass(frozen=True, slots=True)
class SmallFederation:
    """The microscopes, and the network that their rounds begin with."""

    start: "LoadedNetwork"
    sites: tuple[Site, ...]

    @classmethod
    def simulated(cls, seed: int, held_out: int = _HELD_OUT) -> "SmallFederation":
        """Simulate three microscopes of one kind that differ in dose; no site trains on `held_out` frames."""
        import torch

        from model_library.zoo.registry import Library
        from site_client.adapt import Material, TrainingFrame

        torch.set_num_threads(1)
        sites = []
        for site in default_scenario(seed, _FRAMES + _HELD_OUT).sites:
            if site.name not in _SITES:
                continue
            frames = [acquire(site, number, seed) for number in range(_FRAMES + held_out)]
            fields = [TrainingFrame(each.frame.grey, f"field {n}") for n, each in enumerate(frames[:_FRAMES])]
            sites.append(Site(Material.of(fields), tuple(frames[_FRAMES:])))
        return cls(Library().load("unet-denoise-sem"), tuple(sites))

    def weights(self) -> Arrays:
        """Copy the weights that the rounds begin with."""
        return weights_of(self.start)

    def plan(self, rounds: int, steps: int) -> AdaptationPlan:
        """Plan the first of some rounds."""
        return plan_of(self.start, rounds, steps)

    def federate(self, plan: AdaptationPlan, travel: Travel) -> Arrays:
        """Run a plan's rounds by federated averaging, with updates that arrive as `travel` brings them."""
        from site_client.adapt import adapt

        weights = self.weights()
        for number in range(1, plan.rounds + 1):
            told = plan.model_copy(update={"number": number, "seed": number})
            contributions = {}
            for place, site in enumerate(self.sites):
                update, report = adapt(site.material, weights, told, stop=lambda: False, clock=lambda: 0.0)
                arrived = travel(number, place, update)
                contributions[str(place)] = Contribution(report.examples, partial(dict, arrived))
            weights = aggregate(weights, contributions).network
        return weights

    def quality_db(self, weights: Arrays) -> float:
        """Mean PSNR over the frames that no site trains on."""
        return quality_db(self.start, weights, [frame for site in self.sites for frame in site.held_out])


def plan_of(start: "LoadedNetwork", rounds: int, steps: int) -> AdaptationPlan:
    """Plan the first of some rounds that begin with a network."""
    return AdaptationPlan(
        federation_id="cost",
        number=1,
        rounds=rounds,
        task=Denoise(),
        config=start.card.config,
        steps=steps,
        learning_rate=3e-4,
        deadline_s=1e9,
    )


def weights_of(network: "LoadedNetwork") -> Arrays:
    """Copy the weights of a network."""
    return {key: tensor.numpy().copy() for key, tensor in network.module.state_dict().items()}


def distance(one: Arrays, other: Arrays) -> float:
    """Euclidean distance of all weights together."""
    return norm({key: np.subtract(one[key], other[key], dtype=np.float64) for key in one})


def quality_db(start: "LoadedNetwork", weights: Arrays, frames: Sequence[Acquired]) -> float:
    """Mean PSNR over frames against what a noise-free detector would count."""
    import torch

    from model_library.inference.engine import NetworkMethod

    module = deepcopy(start.module)
    module.load_state_dict({key: torch.from_numpy(np.array(a)) for key, a in weights.items()})
    method = NetworkMethod(replace(start, module=module.eval()), tile_px=320)
    scores = []
    for each in frames:
        assert each.truth is not None
        truth = each.truth.grey
        scores.append(psnr(method(each.frame.grey), truth, float(truth.max() - truth.min())))
    return float(np.mean(scores))
