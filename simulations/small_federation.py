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


def sites_of(seed: int) -> tuple[Site, ...]:
    """Simulate three microscopes of one kind that differ in dose."""
    from site_client.adapt import Material, TrainingFrame

    scenario = default_scenario(seed, _FRAMES + _HELD_OUT)
    found = []
    for site in scenario.sites:
        if site.name not in _SITES:
            continue
        frames = [acquire(site, number, seed) for number in range(_FRAMES + _HELD_OUT)]
        trained = [TrainingFrame(each.frame.grey, f"field {n}") for n, each in enumerate(frames[:_FRAMES])]
        found.append(Site(Material.of(trained), tuple(frames[_FRAMES:])))
    return tuple(found)


def plan_of(start: "LoadedNetwork", rounds: int, steps: int) -> AdaptationPlan:
    """Plan the first of some rounds."""
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


def federate(start: "LoadedNetwork", sites: Sequence[Site], plan: AdaptationPlan, travel: Travel) -> Arrays:
    """Run the rounds of a plan by federated averaging, with updates that arrive as `travel` brings them."""
    from site_client.adapt import adapt

    weights = weights_of(start)
    for number in range(1, plan.rounds + 1):
        told = plan.model_copy(update={"number": number, "seed": number})
        contributions = {}
        for place, site in enumerate(sites):
            update, report = adapt(site.material, weights, told, stop=lambda: False, clock=lambda: 0.0)
            arrived = travel(number, place, update)
            contributions[str(place)] = Contribution(report.examples, partial(dict, arrived))
        weights = aggregate(weights, contributions).network
    return weights


def held_out(sites: Sequence[Site]) -> tuple[Acquired, ...]:
    """Collect what no site trains on."""
    return tuple(frame for site in sites for frame in site.held_out)


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
