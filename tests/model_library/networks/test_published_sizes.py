"""Parameters without the frozen mean shift, as published or counted in the reference code."""

import pytest
import torch

from model_library.networks.build import build
from model_library.networks.config import EDSRConfig, MDSRConfig, NetworkConfig, PSSRUNetConfig
from model_library.networks.facts import facts

RGB = {"in_channels": 3, "channels": "rgb"}
BASELINE = {"blocks": 16, "width": 64}
FULL = {"blocks": 32, "width": 256, "residual_scale": 0.1}
SIZES: list[tuple[str, NetworkConfig, int]] = [
    ("EDSR baseline x2", EDSRConfig(scale=2, **BASELINE, **RGB), 1_369_859),
    ("EDSR baseline x4", EDSRConfig(scale=4, **BASELINE, **RGB), 1_517_571),
    ("EDSR x2", EDSRConfig(scale=2, **FULL, **RGB), 40_729_603),
    ("EDSR x4", EDSRConfig(scale=4, **FULL, **RGB), 43_089_923),
    # Two channels fewer at the head and at the tail.
    ("EDSR baseline x2, grey", EDSRConfig(scale=2, **BASELINE), 1_369_859 - 2_306),
    ("EDSR baseline x4, grey", EDSRConfig(scale=4, **BASELINE), 1_517_571 - 2_306),
    *((f"MDSR x{scale}", MDSRConfig(scale=scale, **RGB), 7_953_987) for scale in (2, 3, 4)),
]


@pytest.mark.parametrize(("name", "config", "parameters"), SIZES, ids=[name for name, _, _ in SIZES])
def test_a_network_has_the_published_number_of_parameters(name: str, config: NetworkConfig, parameters: int):
    assert facts(config).parameters == parameters


def test_the_encoder_of_pssr_is_resnet_34():
    # 21,797,672 in the ImageNet network (He et al. 2016), of which its classifier has 513,000.
    with torch.device("meta"):
        module = build(PSSRUNetConfig(scale=4, normalisation="batch", **RGB))
    encoder = [*module.stem.parameters(), *module.stages.parameters()]
    assert sum(parameter.numel() for parameter in encoder) == 21_797_672 - 513_000
