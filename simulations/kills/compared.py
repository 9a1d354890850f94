"""A network of disturbed rounds, held against those of undisturbed rounds with the same and other seeds."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from coordinator.federation.fleet import Weights
from simulations.acquisition import Acquired
from simulations.kills.network import loopback_network
from simulations.small_federation import distance, quality_db, weights_of


def compared(
    disturbed: Weights, same: Weights, others: Sequence[Weights], frames: Sequence[Acquired]
) -> dict[str, Any]:
    """Tell quality, and distances in shares of how far training moved the network.

    Parameters
    ----------
    disturbed, same
        Of one seed.
    others
        Undisturbed, of other seeds: their distances to `same` are what chance alone makes.
    frames
        That no site trained on.
    """
    import torch

    torch.set_num_threads(1)
    start = loopback_network()
    before = weights_of(start)
    moved = distance(same, before)
    chance = [distance(other, same) / moved for other in others]
    apart = distance(disturbed, same) / moved
    return {
        "psnr_db": {
            "before": quality_db(start, before, frames),
            "disturbed": quality_db(start, disturbed, frames),
            "undisturbed": [quality_db(start, each, frames) for each in (same, *others)],
        },
        "distance": {"disturbed": apart, "other_seeds": chance},
        "of_seed_noise": apart / float(np.mean(chance)),
    }
