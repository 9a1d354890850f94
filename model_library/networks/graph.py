"""The module of a graph: one layer a step, each value kept until its last use."""

from typing import assert_never

import torch
from torch import Tensor, nn
from torch.nn import functional

from model_library.networks.graph_config import (
    Activate,
    Combine,
    Convolve,
    Enlarge,
    GraphConfig,
    Join,
    Pool,
    Rescale,
    Shuffle,
    Standardise,
    Step,
    sources,
)


class Graph(nn.Module):
    """A network from elsewhere: [N, 1, Y, X] in the units of its configuration -> [N, C, Y', X']."""

    def __init__(self, config: GraphConfig) -> None:
        super().__init__()
        self.config = config
        self.layers = nn.ModuleList(_layer(step) for step in config.steps)
        last = {index: number for number, step in enumerate(config.steps) for index in sources(step)}
        self._done = [
            tuple(index for index, number in last.items() if number == now) for now in range(len(self.layers))
        ]

    def forward(self, image: Tensor) -> Tensor:
        """Run the steps in order."""
        values: dict[int, Tensor] = {0: image}
        for number, (step, layer) in enumerate(zip(self.config.steps, self.layers, strict=True)):
            found: Tensor = layer(*(values[index] for index in sources(step)))
            for index in self._done[number]:
                del values[index]
            values[number + 1] = found
        return values[len(self.layers)]


class _Rescale(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, value: Tensor) -> Tensor:
        return value * self.weight[:, None, None] + self.bias[:, None, None]


class _Combine(nn.Module):
    def __init__(self, step: Combine) -> None:
        super().__init__()
        self.function = step.function

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        match self.function:
            case "add":
                return left + right
            case "subtract":
                return left - right
            case "multiply":
                return left * right
            case "divide":
                return left / right


class _Join(nn.Module):
    def forward(self, *values: Tensor) -> Tensor:
        return torch.cat(values, dim=1)


class _Enlarge(nn.Module):
    def __init__(self, step: Enlarge) -> None:
        super().__init__()
        self.factor = float(step.factor)
        self.mode = {"nearest": "nearest", "linear": "bilinear"}[step.mode]

    def forward(self, value: Tensor) -> Tensor:
        return functional.interpolate(value, scale_factor=self.factor, mode=self.mode)


class _DepthColumnRow(nn.Module):
    """The other order of a pixel shuffle: the place in the block varies slowest among the channels."""

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, value: Tensor) -> Tensor:
        count, channels, height, width = value.shape
        side = self.factor
        parts = value.reshape(count, side, side, channels // side**2, height, width)
        return parts.permute(0, 3, 4, 1, 5, 2).reshape(
            count, channels // side**2, height * side, width * side
        )


def _layer(step: Step) -> nn.Module:
    match step:
        case Convolve():
            return _convolution(step)
        case Pool(function="max"):
            return nn.MaxPool2d(step.kernel, step.stride, step.padding)
        case Pool():
            return nn.AvgPool2d(step.kernel, step.stride, step.padding)
        case Activate():
            return _activation(step)
        case Rescale():
            return _Rescale(step.channels)
        case Standardise():
            return nn.InstanceNorm2d(step.channels, eps=step.epsilon, affine=True)
        case Combine():
            return _Combine(step)
        case Join():
            return _Join()
        case Enlarge():
            return _Enlarge(step)
        case Shuffle(order="crd"):
            return nn.PixelShuffle(step.factor)
        case Shuffle():
            return _DepthColumnRow(step.factor)
        case _:
            assert_never(step)


def _convolution(step: Convolve) -> nn.Module:
    if step.transposed:
        return nn.ConvTranspose2d(
            step.inputs, step.outputs, step.kernel, step.stride, step.padding, step.growth,
            groups=step.groups, bias=step.bias, dilation=step.dilation,
        )  # fmt: skip
    return nn.Conv2d(
        step.inputs, step.outputs, step.kernel, step.stride, step.padding, step.dilation,
        groups=step.groups, bias=step.bias,
    )  # fmt: skip


def _activation(step: Activate) -> nn.Module:
    match step.function:
        case "relu":
            return nn.ReLU()
        case "leaky_relu":
            return nn.LeakyReLU(step.slope)
        case "elu":
            return nn.ELU(step.slope)
        case "sigmoid":
            return nn.Sigmoid()
        case "tanh":
            return nn.Tanh()
        case "softmax":
            return nn.Softmax(dim=1)
