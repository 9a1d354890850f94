"""Normalisation and head are found in every network that can federate."""

import pytest

from model_library.networks.build import build
from model_library.networks.config import (
    EDSRConfig,
    NetworkConfig,
    PSSRUNetConfig,
    ResidualDenoiserConfig,
    UNetConfig,
)
from model_library.networks.parts import head_keys, keys_under, normalisation_keys

CONFIGS: dict[str, tuple[NetworkConfig, tuple[str, ...], bool]] = {
    "unet": (UNetConfig(widths=(4, 8)), ("head.weight", "head.bias"), False),
    "normed unet": (UNetConfig(widths=(4, 8), normalisation="batch"), ("head.weight", "head.bias"), True),
    "grouped unet": (UNetConfig(widths=(8, 16), normalisation="group"), ("head.weight", "head.bias"), True),
    "denoiser": (ResidualDenoiserConfig(depth=3, width=4), ("noise.4.weight", "noise.4.bias"), False),
    "edsr": (EDSRConfig(blocks=1, width=4, scale=2), ("tail.1.weight", "tail.1.bias"), False),
    "pssr": (PSSRUNetConfig(scale=2, width=8, normalisation="batch"), ("last.3.weight", "last.3.bias"), True),
}


@pytest.mark.parametrize("case", CONFIGS)
def test_the_parts_are_keys_of_the_network(case: str) -> None:
    config, head, normed = CONFIGS[case]
    state = build(config).state_dict()
    assert head_keys(config) == head
    found = normalisation_keys(config)
    assert set(found) <= set(state)
    assert bool(found) == normed
    assert {key for key in state if ".norm." in key} == set(found)


def test_keys_are_found_by_their_beginnings() -> None:
    config = UNetConfig(widths=(4, 8))
    assert keys_under(config, ("head",)) == ("head.weight", "head.bias")
    assert len(keys_under(config, ("up.", "head"))) == 6
    assert keys_under(config, ("decoder",)) == ()
