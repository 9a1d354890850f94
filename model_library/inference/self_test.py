"""A network's answer to an image that anybody can make again: a card keeps some of it, `verify` asks anew."""

import numpy as np
import torch
from numpy.typing import NDArray

from model_library.cards.card import SelfTest
from model_library.errors import WeightsError
from model_library.inference.weights import LoadedNetwork
from model_library.networks.build import in_channels, stride
from model_library.networks.config import MaskRCNNConfig

SEED = 0
SIDE_PX = 32
VALUES = 16
TOLERANCE = 1e-3
"""Absolute, and of each value: processors round differently."""


def self_test(network: LoadedNetwork) -> SelfTest | None:
    """Ask a network; None for Mask R-CNN, whose answer is a list that rounding can shorten."""
    if isinstance(network.card.config, MaskRCNNConfig):
        return None
    values = _answer(network, SEED)
    return SelfTest(seed=SEED, values=tuple(float(value) for value in values))


def check_self_test(network: LoadedNetwork) -> None:
    """Ask again what the card has kept the answer to.

    Raises
    ------
    WeightsError
        The answer is another one.
    """
    told = network.card.self_test
    if told is None:
        return
    found, expected = _answer(network, told.seed), np.array(told.values)
    if found.shape != expected.shape or not np.allclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE):
        raise WeightsError(
            f"{network.card.id}: expected the answer on its card to the image of seed {told.seed}, found "
            f"{np.round(found[:3], 4).tolist()} instead of {np.round(expected[:3], 4).tolist()} ...; "
            "card, weights or this version of torch are not those of the test"
        )


@torch.inference_mode()
def _answer(network: LoadedNetwork, seed: int) -> NDArray[np.float64]:
    """Give `VALUES` values, evenly spaced, of the output for uniform noise [1, C, side, side]."""
    config = network.card.config
    step = stride(config)
    side = -(-SIDE_PX // step) * step
    rng = np.random.default_rng(seed)
    image = rng.random((1, in_channels(config), side, side), dtype=np.float32)
    output: NDArray[np.float32] = network.module(torch.from_numpy(image)).numpy()
    places = np.linspace(0, output.size - 1, VALUES).astype(int)
    answer: NDArray[np.float64] = output.reshape(-1)[places].astype(np.float64)
    return answer
