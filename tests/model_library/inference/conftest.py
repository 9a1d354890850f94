"""Networks with planted weights, as they come from a folder."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from model_library.cards.card import NetworkCard
from model_library.inference.weights import LoadedNetwork, load_network
from model_library.networks.build import build, out_channels, scale
from model_library.networks.config import MaskRCNNConfig, NetworkConfig, restored_channels
from model_library.networks.facts import facts
from model_library.wire.tasks import Denoise, Segment, SuperResolve, Task
from model_library.zoo.store import save_network


def task_of(config: NetworkConfig) -> Task:
    if isinstance(config, MaskRCNNConfig) or out_channels(config) != restored_channels(config):
        classes = ("membrane", "vesicle", "nucleus")[: out_channels(config) - 1]
        return Segment(classes=("background", *classes))
    return SuperResolve(scale=scale(config)) if scale(config) > 1 else Denoise()


@pytest.fixture
def plant(tmp_path: Path) -> Callable[..., LoadedNetwork]:
    def planted(config: NetworkConfig, *, seed: int = 0) -> LoadedNetwork:
        torch.manual_seed(seed)
        card = NetworkCard(
            id="planted",
            version="1.0.0",
            purpose="test",
            task=task_of(config),
            config=config,
            facts=facts(config),
            weights_sha256="0" * 64,
        )
        save_network(tmp_path, build(config), card)
        return load_network(tmp_path)

    return planted
