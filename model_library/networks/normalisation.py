"""Normalisation that follows a convolution, and that leaves no trace at release where it can."""

import math
from typing import assert_never

import torch
from torch import Tensor, nn

from model_library.networks.config import Normalisation

_GROUPS = 8


class BatchNorm(nn.Module):
    """Batch normalisation (Ioffe and Szegedy 2015) whose state is float32 throughout.

    Unlike torch's it does not count its batches, which would travel as an integer among the
    weights; running statistics follow each batch by a tenth.

    Attributes
    ----------
    frozen
        Normalise by the running statistics, and leave them, in training as well.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.eps = 1e-5
        self.frozen = False

    def forward(self, features: Tensor) -> Tensor:
        """[N, channels, Y, X] -> the same shape."""
        return nn.functional.batch_norm(
            features,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            training=self.training and not self.frozen,
            eps=self.eps,
        )

    def gain(self) -> Tensor:
        """Give what each feature is multiplied by in inference, [channels]."""
        return self.weight / torch.sqrt(self.running_var + self.eps)


class NormedConv(nn.Conv2d):
    """A padded convolution without bias and, under the key `norm`, what normalises its output."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, normalisation: Normalisation
    ) -> None:
        super().__init__(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False)
        self.norm = norm_layer(normalisation, outputs)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  (torch's name)
        """[N, inputs, Y, X] -> [N, outputs, Y/stride, X/stride]."""
        result: Tensor = self.norm(super().forward(input))
        return result


def norm_layer(normalisation: Normalisation, channels: int) -> nn.Module:
    """Make a layer that normalises features [N, channels, Y, X]."""
    match normalisation:
        case "none":
            return nn.Identity()
        case "batch":
            return BatchNorm(channels)
        case "instance":
            return nn.GroupNorm(channels, channels)
        case "group":
            return nn.GroupNorm(math.gcd(_GROUPS, channels), channels)
        case _:
            assert_never(normalisation)


def freeze_statistics(module: nn.Module) -> nn.Module:
    """Keep the running statistics of all batch normalisation as they are, also in training.

    Sites of a federation see other images: the mean of their statistics is that of none of them.
    """
    for layer in module.modules():
        if isinstance(layer, BatchNorm):
            layer.frozen = True
    return module


def folded_state(module: nn.Module) -> dict[str, Tensor]:
    """Give the state of a module whose batch normalisation is merged into the convolutions before it.

    Returns
    -------
    Keys of the same architecture without normalisation. In inference, with w the weights of a
    convolution and g = weight / sqrt(running_var + eps), they are g w, with bias
    `bias - g running_mean`.
    """
    state = dict(module.state_dict())
    for name, layer in module.named_modules():
        if not (isinstance(layer, NormedConv) and isinstance(layer.norm, BatchNorm)):
            continue
        gain = layer.norm.gain().detach()
        state[f"{name}.weight"] = layer.weight.detach() * gain[:, None, None, None]
        state[f"{name}.bias"] = layer.norm.bias.detach() - gain * layer.norm.running_mean
        for key in layer.norm.state_dict():
            del state[f"{name}.norm.{key}"]
    return state
