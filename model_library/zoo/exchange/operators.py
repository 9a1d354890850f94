"""Each ONNX operator that has a step, and what of it has none."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from model_library.errors import ExchangeError
from model_library.networks.graph_config import (
    Activate,
    Combine,
    Convolve,
    Enlarge,
    Join,
    Pair,
    Pool,
    Rescale,
    Shuffle,
    Standardise,
)
from model_library.zoo.exchange.onnx_node import Array, Found, Node


def _convolve(node: Node) -> Found:
    weight = node.constant(1)
    transposed = node.operator == "ConvTranspose"
    if weight.ndim != 4:
        raise node.refuse("two spatial axes", f"weights of shape {weight.shape}")
    groups = int(node.attributes.get("group", 1))
    kernel = (int(weight.shape[2]), int(weight.shape[3]))
    stride = _pair(node.numbers("strides", (1, 1)))
    dilation = _pair(node.numbers("dilations", (1, 1)))
    inputs, outputs = (int(weight.shape[1]) * groups, int(weight.shape[0]))
    if transposed:
        inputs, outputs = outputs, int(weight.shape[1]) * groups
        if node.attributes.get("output_shape") is not None:
            raise node.refuse("a size that follows from the image", "output_shape")
    bias = len(node.constants) > 2 and node.constants[2] is not None
    step = Convolve(
        source=node.value(), inputs=inputs, outputs=outputs, kernel=kernel, stride=stride,
        padding=_padding(node, kernel, stride, dilation), dilation=dilation, groups=groups, bias=bias,
        transposed=transposed, growth=_pair(node.numbers("output_padding", (0, 0))),
    )  # fmt: skip
    weights = {"weight": _float(weight)}
    return Found(step, {**weights, "bias": _float(node.constant(2))} if bias else weights)


def _pool(node: Node) -> Found:
    kernel = _pair(node.numbers("kernel_shape", ()))
    stride = _pair(node.numbers("strides", (1, 1)))
    padding = _padding(node, kernel, stride, (1, 1))
    average = node.operator == "AveragePool"
    if node.attributes.get("ceil_mode", 0) or node.numbers("dilations", (1, 1)) != (1, 1):
        raise node.refuse("whole windows without gaps", "ceil_mode or dilations")
    if average and any(padding) and not node.attributes.get("count_include_pad", 0):
        raise node.refuse("padding that counts", "count_include_pad 0")
    function: Literal["max", "average"] = "average" if average else "max"
    return Found(Pool(source=node.value(), function=function, kernel=kernel, stride=stride, padding=padding))


def _activate(node: Node) -> Found:
    source = node.value()
    match node.operator:
        case "Relu":
            return Found(Activate(source=source, function="relu"))
        case "LeakyRelu":
            slope = float(node.attributes.get("alpha", 0.01))
            return Found(Activate(source=source, function="leaky_relu", slope=slope))
        case "Elu":
            return Found(Activate(source=source, function="elu", slope=node.attributes.get("alpha", 1.0)))
        case "Sigmoid":
            return Found(Activate(source=source, function="sigmoid"))
        case "Tanh":
            return Found(Activate(source=source, function="tanh"))
    if node.attributes.get("axis", 1) not in (1, -3):
        raise node.refuse("axis 1, the channels", f"axis {node.attributes['axis']}")
    return Found(Activate(source=source, function="softmax"))


def _combine(node: Node) -> Found:
    names: Mapping[str, Literal["add", "subtract", "multiply", "divide"]] = {
        "Add": "add", "Sub": "subtract", "Mul": "multiply", "Div": "divide",
    }  # fmt: skip
    function = names[node.operator]
    constant = [place for place in (0, 1) if node.constants[place] is not None]
    if not constant:
        return Found(Combine(function=function, left=node.value(0), right=node.value(1)))
    first = constant[0] == 0
    numbers = _per_channel(node, node.constant(constant[0]))
    source, ones, zeros = node.value(1 - constant[0]), np.ones_like(numbers), np.zeros_like(numbers)
    match function:
        case "add":
            scale, shift = ones, numbers
        case "subtract":
            scale, shift = (-ones, numbers) if first else (ones, -numbers)
        case "multiply":
            scale, shift = numbers, zeros
        case "divide":
            if first:
                raise node.refuse("a constant below the line", "one above it")
            scale, shift = ones / numbers, zeros
    return _rescaled(source, scale, shift)


def _batch_normalisation(node: Node) -> Found:
    gain, bias, mean, variance = (node.constant(place).astype(np.float64) for place in (1, 2, 3, 4))
    scale = gain / np.sqrt(variance + float(node.attributes.get("epsilon", 1e-5)))
    return _rescaled(node.value(), _float(scale), _float(bias - mean * scale))


def _instance_normalisation(node: Node) -> Found:
    gain, bias = _float(node.constant(1)), _float(node.constant(2))
    epsilon = float(node.attributes.get("epsilon", 1e-5))
    step = Standardise(source=node.value(), channels=len(gain), epsilon=epsilon)
    return Found(step, {"weight": gain, "bias": bias})


def _join(node: Node) -> Found:
    if node.attributes.get("axis") not in (1, -3):
        raise node.refuse("axis 1, the channels", f"axis {node.attributes.get('axis')}")
    return Found(Join(sources=tuple(node.value(place) for place in range(len(node.values)))))


def _enlarge(node: Node) -> Found:
    old = node.operator == "Upsample"
    mode = node.text("mode", "nearest")
    place = node.text("coordinate_transformation_mode", "asymmetric" if old else "half_pixel")
    # For whole factors, nearest pixels are the same whether corners or centres are aligned so.
    allowed = ("asymmetric", "half_pixel") if mode == "nearest" else ("half_pixel", "pytorch_half_pixel")
    if mode not in ("nearest", "linear") or place not in allowed:
        raise node.refuse("mode nearest, or linear with half_pixel", f"{mode} with {place}")
    scales = tuple(float(each) for each in node.constant(1 if old else 2))
    factor = scales[-1] if scales else 0.0
    if scales != (1.0, 1.0, factor, factor) or factor != int(factor) or factor < 2:
        raise node.refuse("one whole factor along Y and X", f"scales {scales}")
    return Found(
        Enlarge(source=node.value(), factor=int(factor), mode="nearest" if mode == "nearest" else "linear")
    )


def _shuffle(node: Node) -> Found:
    crd = node.text("mode", "DCR") == "CRD"
    factor = int(node.attributes["blocksize"])
    return Found(Shuffle(source=node.value(), factor=factor, order="crd" if crd else "dcr"))


READERS: Mapping[str, Callable[[Node], Found]] = MappingProxyType(
    {
        "Conv": _convolve,
        "ConvTranspose": _convolve,
        "MaxPool": _pool,
        "AveragePool": _pool,
        **dict.fromkeys(("Relu", "LeakyRelu", "Elu", "Sigmoid", "Tanh", "Softmax"), _activate),
        **dict.fromkeys(("Add", "Sub", "Mul", "Div"), _combine),
        "BatchNormalization": _batch_normalisation,
        "InstanceNormalization": _instance_normalisation,
        "Concat": _join,
        "Resize": _enlarge,
        "Upsample": _enlarge,
        "DepthToSpace": _shuffle,
    }
)
"""What each operator becomes."""


def _padding(node: Node, kernel: Pair, stride: Pair, dilation: Pair) -> Pair:
    auto = node.text("auto_pad", "NOTSET")
    spans = [(size - 1) * gap for size, gap in zip(kernel, dilation, strict=True)]
    if auto in ("SAME_UPPER", "SAME_LOWER") and stride == (1, 1) and not any(span % 2 for span in spans):
        return (spans[0] // 2, spans[1] // 2)
    if auto not in ("NOTSET", "VALID"):
        raise node.refuse("explicit padding", f"auto_pad {auto}")
    pads = node.numbers("pads", (0, 0, 0, 0))
    if pads[:2] != pads[2:]:
        raise node.refuse("the same padding on both sides", f"pads {pads}")
    return _pair(pads[:2])


def _per_channel(node: Node, constant: Array) -> NDArray[np.float32]:
    """Give one number per channel; a single one stands for all channels, as `_rescaled` knows."""
    flat = _float(constant).reshape(-1)
    one_axis = constant.size == 1 or (constant.ndim >= 3 and constant.shape[-3] == constant.size)
    if not one_axis:
        raise node.refuse("a constant per channel", f"one of shape {constant.shape}")
    return flat


def _rescaled(source: int, scale: Array, shift: Array) -> Found:
    step = Rescale(source=source, channels=len(scale))
    return Found(step, {"weight": _float(scale), "bias": _float(shift)})


def _pair(numbers: tuple[int, ...]) -> Pair:
    if len(numbers) != 2:
        raise ExchangeError(
            f"expected operators along two axes, found {len(numbers)}; Synoptic runs networks on planes"
        )
    return (numbers[0], numbers[1])


def _float(array: Array) -> NDArray[np.float32]:
    return np.ascontiguousarray(array, dtype=np.float32)
