import pytest
import torch
from torch import nn

from model_library.errors import CannotFold
from model_library.networks.build import build, config_of
from model_library.networks.config import EDSRConfig, NetworkConfig, PSSRUNetConfig, UNetConfig
from model_library.networks.facts import facts
from model_library.networks.folding import fold
from model_library.networks.normalisation import BatchNorm, freeze_statistics

NORMALISED: list[NetworkConfig] = [
    UNetConfig(widths=(4, 6, 8), normalisation="batch"),
    UNetConfig(widths=(4, 6), in_channels=5, channels="slices", normalisation="batch"),
    UNetConfig(widths=(4, 6), in_channels=3, channels="rgb", out_channels=3, normalisation="batch"),
    PSSRUNetConfig(blocks=(1, 2), width=4, scale=2, normalisation="batch"),
]
every_normalised = pytest.mark.parametrize("config", NORMALISED, ids=lambda c: f"{c.kind}-{c.channels}")


def lived_in(config: NetworkConfig) -> nn.Module:
    """A network whose statistics and weights are those of no fresh one."""
    torch.manual_seed(0)
    module = build(config).double()
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            if "norm" in name:
                tensor.copy_(torch.rand_like(tensor) + (0.5 if "weight" in name or "var" in name else 0))
    return module.eval()


def image(config: NetworkConfig) -> torch.Tensor:
    return torch.rand(2, config.in_channels, 32, 48, dtype=torch.float64)


@every_normalised
def test_folding_leaves_the_outputs_and_takes_the_normalisation(config: NetworkConfig):
    module, pixels = lived_in(config), image(config)
    free, plain = fold(module)
    assert plain == config.model_copy(update={"normalisation": "none"})
    assert not any(isinstance(layer, BatchNorm) for layer in free.modules())
    assert free.state_dict().keys() == build(plain).state_dict().keys()
    with torch.no_grad():
        expected = module(pixels)
        assert torch.allclose(free(pixels), expected, rtol=0, atol=1e-12 * float(expected.abs().max()))
        single = free.float()(pixels.float())
        assert torch.allclose(single.double(), expected, rtol=0, atol=2e-6 * float(expected.abs().max()))


@every_normalised
def test_the_folded_network_has_the_facts_of_its_configuration(config: NetworkConfig):
    free, plain = fold(lived_in(config))
    assert facts(plain).parameters == sum(parameter.numel() for parameter in free.parameters())
    assert facts(plain).flops_per_pixel == facts(config).flops_per_pixel
    assert facts(plain).receptive_field_px == facts(config).receptive_field_px


def test_folding_takes_nothing_from_the_module_that_goes_on_training():
    module = lived_in(NORMALISED[0])
    before = {key: value.clone() for key, value in module.state_dict().items()}
    free, _ = fold(module)
    for parameter in free.parameters():
        parameter.data.zero_()
    assert all(torch.equal(value, before[key]) for key, value in module.state_dict().items())


def test_a_network_without_normalisation_folds_to_itself():
    config = EDSRConfig(blocks=1, width=4, scale=2)
    module = build(config)
    free, plain = fold(module)
    assert plain == config == config_of(free)
    assert free is not module
    before, after = module.state_dict(), free.state_dict()
    assert all(torch.equal(after[key], before[key]) for key in before)


@pytest.mark.parametrize("normalisation", ["instance", "group"])
def test_what_computes_over_space_is_flagged_and_does_not_fold(normalisation: str):
    for config in (
        UNetConfig(widths=(4, 6), normalisation=normalisation),
        PSSRUNetConfig(blocks=(1, 1), width=4, scale=1, normalisation=normalisation),
    ):
        assert not facts(config).exact_tiling
        with pytest.raises(CannotFold, match=f"found {normalisation} normalisation"):
            fold(build(config))


@every_normalised
def test_batch_normalisation_tiles_exactly(config: NetworkConfig):
    assert facts(config).exact_tiling


def test_the_state_of_batch_normalisation_is_float32_throughout():
    assert {tensor.dtype for tensor in build(NORMALISED[0]).state_dict().values()} == {torch.float32}


def test_statistics_follow_the_batches_in_training():
    layer = BatchNorm(2).train()
    batch = torch.randn(4, 2, 8, 8) * 3 + 5
    layer(batch)
    assert torch.allclose(layer.running_mean, 0.1 * batch.mean(dim=(0, 2, 3)), atol=1e-5)
    assert torch.allclose(layer.running_var, 0.9 + 0.1 * batch.var(dim=(0, 2, 3)), atol=1e-4)


def test_a_training_batch_is_normalised_as_torch_does():
    torch.manual_seed(1)
    batch, ours, theirs = torch.randn(3, 5, 9, 7), BatchNorm(5), nn.BatchNorm2d(5)
    assert torch.equal(ours.train()(batch), theirs.train()(batch))
    assert torch.equal(ours.eval()(batch), theirs.eval()(batch))


def test_frozen_statistics_stay_through_training_and_normalise_it():
    module = freeze_statistics(lived_in(NORMALISED[0])).train()
    before = {key: value.clone() for key, value in module.state_dict().items() if "running" in key}
    pixels = image(NORMALISED[0])
    assert torch.equal(module(pixels), module.eval()(pixels))
    assert before
    assert all(torch.equal(module.state_dict()[key], value) for key, value in before.items())
