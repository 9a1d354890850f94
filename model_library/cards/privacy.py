"""Differential privacy of what a site sends: what is added to an update, and what it costs in epsilon.

The unit is a site. Its update is clipped to a Euclidean norm C and gets Gaussian noise of standard
deviation z C in every number before it leaves, so whoever sees the update, the coordinator included,
can hardly tell it from the update that the same site would have sent with *all* its frames exchanged
for others (local differential privacy, Kasiviswanathan et al. 2011). Two updates of norm C lie at most
2 C apart, so the multiplier that counts is z / 2.
"""

import math
from collections.abc import Mapping

from pydantic import Field

from model_library.wire.base import Message

DELTA = 1e-5
"""Chance with which the statement of epsilon may fail."""

SENSITIVITY = 2.0
"""How far apart two clipped updates may lie, in clipping norms."""

_ORDERS = (*(1 + step / 10 for step in range(1, 100)), *range(11, 64), *(2**power for power in range(6, 16)))


class Privacy(Message):
    """How a site's updates are made private.

    `clip_norm` is the largest Euclidean norm of an update, over all arrays that leave, in the unit of the
    weights; `noise_multiplier` the noise's standard deviation, in `clip_norm`.
    """

    clip_norm: float = Field(gt=0, allow_inf_nan=False)
    noise_multiplier: float = Field(gt=0, allow_inf_nan=False)


def epsilon(updates: Mapping[float, int], delta: float = DELTA) -> float:
    """Account what a number of updates have told, at a given delta.

    Every update is a Gaussian mechanism; their Renyi divergences add up (Mironov 2017), and the sum is
    turned into epsilon at the best of many orders (Canonne, Kamath and Steinke 2020, proposition 12).
    No update is spared for having been drawn by chance: the coordinator knows whom it asked.

    Parameters
    ----------
    updates
        Noise multiplier -> how many updates left with it.
    delta
        In (0, 1).

    Returns
    -------
    Epsilon, 0 without updates; the bound of the Renyi accountant, which is never too small.
    """
    divergence = sum(
        count * SENSITIVITY**2 / (2 * multiplier**2) for multiplier, count in updates.items() if count
    )
    if divergence == 0:
        return 0.0
    return max(0.0, min(_converted(order, order * divergence, delta) for order in _ORDERS))


def _converted(order: float, renyi: float, delta: float) -> float:
    return renyi + math.log1p(-1 / order) - (math.log(delta) + math.log(order)) / (order - 1)
