"""Which arrays of a network are its normalisation, and which its head."""

from torch import device, nn

from model_library.networks.build import build
from model_library.networks.config import NetworkConfig
from model_library.networks.normalisation import BatchNorm

_NORMALISATION = (BatchNorm, nn.GroupNorm, nn.modules.batchnorm._BatchNorm, nn.LayerNorm)


def normalisation_keys(config: NetworkConfig) -> tuple[str, ...]:
    """Keys of weights, biases and statistics of all normalisation, in the order of the network."""
    module = _shape_of(config)
    return tuple(
        f"{name}.{key}"
        for name, layer in module.named_modules()
        if isinstance(layer, _NORMALISATION)
        for key in layer.state_dict()
    )


def head_keys(config: NetworkConfig) -> tuple[str, ...]:
    """Keys of the last layer that has weights."""
    holders = [
        (name, layer)
        for name, layer in _shape_of(config).named_modules()
        if any(True for _ in layer.parameters(recurse=False))
    ]
    name, layer = holders[-1]
    return tuple(f"{name}.{key}" for key in layer.state_dict())


def keys_under(config: NetworkConfig, prefixes: tuple[str, ...]) -> tuple[str, ...]:
    """Keys that begin with one of these, in the order of the network."""
    return tuple(key for key in _shape_of(config).state_dict() if key.startswith(prefixes))


def _shape_of(config: NetworkConfig) -> nn.Module:
    with device("meta"):
        return build(config)
