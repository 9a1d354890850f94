"""What noise costs: quality against epsilon, for updates that sites really trained.

`python -m simulations.privacy_cost --json privacy.json`
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from coordinator.federation.aggregation import Contribution, aggregate
from model_library.cards.adaptation import AdaptationPlan
from model_library.cards.privacy import Privacy, epsilon
from model_library.wire.tasks import Denoise
from simulations.wire_cost import Site, quality_db, sites_of
from site_client.federation.noising import privatise

if TYPE_CHECKING:
    from model_library.inference.weights import LoadedNetwork

_CLIP_NORM = 0.5
_MULTIPLIERS = (0.02, 0.1, 1.0, 4.0)

Arrays = Mapping[str, NDArray[Any]]


def trained(
    start: "LoadedNetwork", sites: Sequence[Site], rounds: int, steps: int, privacy: Privacy | None, seed: int
) -> tuple[Arrays, list[float]]:
    """Run rounds of federated averaging; returns the network and the norms of the updates as trained."""
    from site_client.adapt import adapt

    weights: Arrays = {key: tensor.numpy().copy() for key, tensor in start.module.state_dict().items()}
    norms = []
    for number in range(1, rounds + 1):
        plan = AdaptationPlan(
            federation_id="privacy-cost",
            number=number,
            rounds=rounds,
            task=Denoise(),
            config=start.card.config,
            steps=steps,
            learning_rate=3e-4,
            seed=number,
            deadline_s=1e9,
            privacy=privacy,
        )
        contributions = {}
        for place, site in enumerate(sites):
            update, report = adapt(site.material, weights, plan, stop=lambda: False, clock=lambda: 0.0)
            norms.append(float(np.sqrt(sum(np.square(each).sum() for each in update.values()))))
            if privacy is not None:
                update = privatise(update, privacy, np.random.default_rng([seed, number, place]))
            contributions[str(place)] = Contribution(report.examples, partial(dict, update))
        weights = aggregate(weights, contributions).network
    return weights, norms


def measure(seed: int, rounds: int, steps: int) -> dict[str, Any]:
    """Run the rounds without noise and with ever more."""
    import torch

    from model_library.zoo.registry import Library

    torch.set_num_threads(1)
    start = Library().load("unet-denoise-sem")
    before: Arrays = {key: tensor.numpy().copy() for key, tensor in start.module.state_dict().items()}
    sites = sites_of(seed)
    told: dict[str, Any] = {
        "network": {"id": start.card.id, "parameters": sum(array.size for array in before.values())},
        "rounds": rounds,
        "steps": steps,
        "sites": len(sites),
        "clip_norm": _CLIP_NORM,
        "psnr_db": {"before": quality_db(start, before, sites)},
        "noise": [],
    }
    for multiplier in (None, *_MULTIPLIERS):
        privacy = None if multiplier is None else Privacy(clip_norm=_CLIP_NORM, noise_multiplier=multiplier)
        start.module.load_state_dict({key: torch.from_numpy(np.array(a)) for key, a in before.items()})
        weights, norms = trained(start, sites, rounds, steps, privacy, seed)
        found = quality_db(start, weights, sites)
        if multiplier is None:
            told["psnr_db"]["without_noise"] = found
            told["update_norm"] = float(np.median(norms))
        else:
            cost = epsilon({multiplier: rounds})
            told["noise"].append({"noise_multiplier": multiplier, "epsilon": cost, "psnr_db": found})
        print(f"noise multiplier {multiplier}: {found:.3f} dB", file=sys.stderr, flush=True)
    return told


def main() -> None:
    """Measure, print the figures, and write them as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    parser.add_argument("--seed", type=int, default=0, help="of specimens and noise")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=10, help="of training per site and round")
    asked = parser.parse_args()
    text = json.dumps(measure(asked.seed, asked.rounds, asked.steps), indent=1)
    if asked.json is not None:
        asked.json.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
