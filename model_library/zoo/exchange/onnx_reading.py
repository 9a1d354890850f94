"""An ONNX graph as steps and weights; what has no step is refused by name, so nothing else can happen."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from model_library.errors import ExchangeError
from model_library.networks.graph_config import Step
from model_library.zoo.exchange.onnx_node import Node
from model_library.zoo.exchange.operators import READERS

Weights = dict[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class ReadGraph:
    """Steps in the order in which they are computed, and their weights under the keys of `Graph`."""

    steps: tuple[Step, ...]
    weights: Mapping[str, NDArray[np.float32]]


@dataclass(slots=True)
class _Reading:
    values: dict[str, int]
    constants: dict[str, NDArray[Any]]
    steps: list[Step] = field(default_factory=list)
    weights: Weights = field(default_factory=dict)


def read_onnx(content: bytes) -> ReadGraph:
    """Read a graph.

    Parameters
    ----------
    content
        Of the file; weights in a file beside it are refused, for their path could be any.

    Raises
    ------
    ExchangeError
        No ONNX, more than one input or output, or an operator that has no step.
    """
    try:
        model = onnx.load_from_string(content)
    except Exception as failure:  # protobuf's own; nothing of ours depends on it
        raise ExchangeError(f"expected an ONNX graph, found {failure}; fetch the package again") from failure
    graph = model.graph
    initial = {tensor.name for tensor in graph.initializer}
    inputs = [each.name for each in graph.input if each.name not in initial]
    if len(inputs) != 1 or len(graph.output) != 1 or model.functions:
        raise ExchangeError(
            f"expected an ONNX graph with one input, one output and no functions, found {len(inputs)}, "
            f"{len(graph.output)} and {len(model.functions)}; Synoptic cannot run this network"
        )
    reading = _Reading({inputs[0]: 0}, {each.name: _array(each) for each in graph.initializer})
    for node in graph.node:
        _read(node, reading)
    last = reading.values.get(graph.output[0].name)
    if last is None or last != len(reading.steps):
        raise ExchangeError(
            "expected an ONNX graph whose last operator gives its output, found others after it or none; "
            "Synoptic cannot run this network"
        )
    return ReadGraph(tuple(reading.steps), reading.weights)


def _read(node: onnx.NodeProto, reading: _Reading) -> None:
    attributes = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
    if node.op_type == "Constant" and "value" in attributes:
        reading.constants[node.output[0]] = _array(attributes["value"])
        return
    if node.op_type in ("Identity", "Dropout"):
        _rename(node, reading)
        return
    reader = READERS.get(node.op_type) if node.domain in ("", "ai.onnx") else None
    if reader is None or len(node.output) != 1:
        raise ExchangeError(
            f"expected operators that Synoptic knows ({', '.join(sorted(READERS))}), found "
            f"{node.domain or 'ai.onnx'}.{node.op_type}; export the network with these"
        )
    known = Node(
        node.op_type,
        attributes,
        tuple(reading.values.get(name) for name in node.input),
        tuple(reading.constants.get(name) for name in node.input),
    )
    try:
        found = reader(known)
    except (KeyError, TypeError, ValueError) as failure:
        raise known.refuse("what the standard says", failure) from failure
    number = len(reading.steps)
    reading.steps.append(found.step)
    reading.weights |= {f"layers.{number}.{key}": value for key, value in found.weights.items()}
    reading.values[node.output[0]] = number + 1


def _rename(node: onnx.NodeProto, reading: _Reading) -> None:
    source, name = node.input[0], node.output[0]
    if source in reading.constants:
        reading.constants[name] = reading.constants[source]
    if source in reading.values:
        reading.values[name] = reading.values[source]


def _array(tensor: onnx.TensorProto) -> NDArray[Any]:
    if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
        raise ExchangeError(
            f"expected weights inside the ONNX file, found a reference to another file for {tensor.name}; "
            "export the network in one file"
        )
    found: NDArray[Any] = numpy_helper.to_array(tensor)
    return found
