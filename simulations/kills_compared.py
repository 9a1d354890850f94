"""A network of disturbed rounds, held against those of undisturbed rounds with the same and another seed."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from coordinator.federation.validation import norm
from simulations.acquisition import Acquired
from simulations.loopback_network import loopback_network
from simulations.small_federation import Arrays, quality_db, weights_of


def compared(disturbed: Arrays, same: Arrays, other: Arrays, frames: Sequence[Acquired]) -> dict[str, Any]:
    """Tell quality, and distances relative to how far training moved the network.

    Parameters
    ----------
    disturbed, same
        Of one seed.
    other
        Undisturbed, of another seed: its distance to `same` is what chance alone makes.
    frames
        That no site trained on.
    """
    import torch

    torch.set_num_threads(1)
    start = loopback_network()
    before = weights_of(start)
    moved = distance(same, before)
    chance = distance(other, same)
    return {
        "psnr_db": {
            "before": quality_db(start, before, frames),
            "undisturbed": quality_db(start, same, frames),
            "undisturbed, another seed": quality_db(start, other, frames),
            "disturbed": quality_db(start, disturbed, frames),
        },
        "distance": {
            "two seeds": chance / moved,
            "disturbed to undisturbed": distance(disturbed, same) / moved,
        },
        "of_seed_noise": distance(disturbed, same) / chance,
    }


def distance(one: Arrays, other: Arrays) -> float:
    """Euclidean distance of all weights together."""
    return norm({key: np.subtract(one[key], other[key], dtype=np.float64) for key in one})
