"""Each ONNX operator gives here what it gives in ONNX Runtime; what has no step is refused by name."""

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from model_library.errors import ExchangeError
from model_library.networks.build import build
from model_library.networks.graph_config import GraphConfig
from model_library.zoo.exchange.onnx_reading import read_onnx

RNG = np.random.default_rng(4)


def array(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def graph(nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray], opset: int = 17) -> bytes:
    """A graph from `x` to `y`."""
    planes = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", None, None, None]) for name in "xy"
    ]
    initial = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    made = helper.make_graph(nodes, "graph", planes[:1], planes[1:], initial)
    return helper.make_model(
        made, opset_imports=[helper.make_opsetid("", opset)], ir_version=8
    ).SerializeToString()


def in_onnx_runtime(content: bytes, image: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": image})[0]


def here(content: bytes, image: np.ndarray) -> np.ndarray:
    found = read_onnx(content)
    module = build(GraphConfig(steps=found.steps))
    module.load_state_dict({key: torch.tensor(value) for key, value in found.weights.items()})
    with torch.inference_mode():
        return module.eval()(torch.from_numpy(image)).numpy()


SPREAD = {"spread": array(4, 1, 1, 1)}
"""A first convolution, from one channel to four."""

# Operator, attributes, further constants, inputs.
OPERATORS: dict[str, tuple[str, dict[str, Any], dict[str, np.ndarray], tuple[str, ...]]] = {
    "conv": ("Conv", {"pads": [1, 1, 1, 1]}, {"w": array(3, 4, 3, 3), "b": array(3)}, ("s", "w", "b")),
    "conv without bias, with stride": ("Conv", {"strides": [2, 2]}, {"w": array(2, 4, 2, 2)}, ("s", "w")),
    "conv in groups, with gaps": (
        "Conv", {"group": 2, "dilations": [2, 2], "pads": [2, 2, 2, 2]}, {"w": array(4, 2, 3, 3)}, ("s", "w"),
    ),
    "conv of the same size": ("Conv", {"auto_pad": "SAME_UPPER"}, {"w": array(2, 4, 3, 5)}, ("s", "w")),
    "transposed": (
        "ConvTranspose", {"strides": [2, 2], "pads": [1, 1, 1, 1], "output_padding": [1, 1]},
        {"w": array(4, 3, 3, 3), "b": array(3)}, ("s", "w", "b"),
    ),
    "max pool": ("MaxPool", {"kernel_shape": [2, 2], "strides": [2, 2]}, {}, ("s",)),
    "max pool with padding": (
        "MaxPool", {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}, {}, ("s",)
    ),
    "average pool": ("AveragePool", {"kernel_shape": [2, 2], "strides": [2, 2]}, {}, ("s",)),
    "relu": ("Relu", {}, {}, ("s",)),
    "leaky": ("LeakyRelu", {"alpha": 0.3}, {}, ("s",)),
    "elu": ("Elu", {"alpha": 0.7}, {}, ("s",)),
    "sigmoid": ("Sigmoid", {}, {}, ("s",)),
    "tanh": ("Tanh", {}, {}, ("s",)),
    "softmax": ("Softmax", {"axis": 1}, {}, ("s",)),
    "add": ("Add", {}, {}, ("s", "x")),
    "subtract": ("Sub", {}, {}, ("x", "s")),
    "multiply": ("Mul", {}, {}, ("s", "s")),
    "divide": ("Div", {}, {}, ("s", "s")),
    "add a number": ("Add", {}, {"c": np.float32(3)}, ("s", "c")),
    "multiply channels": ("Mul", {}, {"c": array(1, 4, 1, 1)}, ("c", "s")),
    "subtract from": ("Sub", {}, {"c": array(4, 1, 1)}, ("c", "s")),
    "divide by": ("Div", {}, {"c": np.float32([2.0])}, ("s", "c")),
    "batch normalisation": (
        "BatchNormalization", {"epsilon": 1e-3},
        {"g": array(4), "b": array(4), "m": array(4), "v": np.abs(array(4))}, ("s", "g", "b", "m", "v"),
    ),
    "instance normalisation": ("InstanceNormalization", {}, {"g": array(4), "b": array(4)}, ("s", "g", "b")),
    "join": ("Concat", {"axis": 1}, {}, ("s", "x", "s")),
    "enlarge nearest": (
        "Resize",
        {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
        {"k": np.float32([1, 1, 3, 3])}, ("s", "", "k"),
    ),
    "enlarge linear": ("Resize", {"mode": "linear"}, {"k": np.float32([1, 1, 2, 2])}, ("s", "", "k")),
    "shuffle": ("DepthToSpace", {"blocksize": 2}, {}, ("s",)),
    "shuffle as torch": ("DepthToSpace", {"blocksize": 2, "mode": "CRD"}, {}, ("s",)),
}  # fmt: skip


def one(case: tuple[str, dict[str, Any], dict[str, np.ndarray], tuple[str, ...]]) -> bytes:
    operator, attributes, constants, inputs = case
    nodes = [
        helper.make_node("Conv", ["x", "spread"], ["s"]),
        helper.make_node(operator, list(inputs), ["y"], **attributes),
    ]
    return graph(nodes, SPREAD | constants)


@pytest.mark.parametrize("name", OPERATORS)
def test_an_operator_gives_what_it_gives_in_onnx_runtime(name: str):
    content, image = one(OPERATORS[name]), array(2, 1, 12, 16)
    np.testing.assert_allclose(here(content, image), in_onnx_runtime(content, image), rtol=1e-4, atol=1e-5)


REFUSED: dict[str, tuple[tuple[str, dict[str, Any], dict[str, np.ndarray], tuple[str, ...]], str]] = {
    "unknown": (("Erf", {}, {}, ("s",)), r"found ai\.onnx\.Erf"),
    "of another domain": (("Relu", {"domain": "evil"}, {}, ("s",)), r"found evil\.Relu"),
    "control flow": (("Loop", {}, {}, ("s",)), "Loop"),
    "one-sided padding": (("Conv", {"pads": [0, 0, 1, 1]}, {"w": array(1, 4, 2, 2)}, ("s", "w")), "both"),
    "padding by size": (
        ("Conv", {"auto_pad": "SAME_UPPER", "strides": [2, 2]}, {"w": array(1, 4, 3, 3)}, ("s", "w")),
        "auto_pad",
    ),
    "in three axes": (("Conv", {}, {"w": array(1, 4, 1, 1, 1)}, ("s", "w")), "two spatial axes"),
    "weights that are computed": (("Conv", {}, {}, ("s", "x")), "constant weights"),
    "aligned corners": (
        ("Resize", {"mode": "linear", "coordinate_transformation_mode": "align_corners"},
         {"k": np.float32([1, 1, 2, 2])}, ("s", "", "k")), "align_corners",
    ),
    "a broken factor": (
        ("Resize", {"mode": "linear"}, {"k": np.float32([1, 1, 1.5, 1.5])}, ("s", "", "k")), "whole factor"
    ),
    "cubic": (("Resize", {"mode": "cubic"}, {"k": np.float32([1, 1, 2, 2])}, ("s", "", "k")), "cubic"),
    "joined rows": (("Concat", {"axis": 2}, {}, ("s", "s")), "axis 1"),
    "softmax over rows": (("Softmax", {"axis": 2}, {}, ("s",)), "axis 1"),
    "a constant image": (("Add", {}, {"c": array(1, 1, 12, 16)}, ("s", "c")), "constant per channel"),
    "one divided": (("Div", {}, {"c": np.float32(1)}, ("c", "s")), "below the line"),
    "nothing to shuffle by": (("DepthToSpace", {}, {}, ("s",)), "DepthToSpace with what the standard says"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_step_is_refused_by_name(name: str):
    case, reason = REFUSED[name]
    with pytest.raises(ExchangeError, match=reason):
        read_onnx(one(case))


def test_constants_and_names_are_followed():
    nodes = [
        helper.make_node("Constant", [], ["w"], value=numpy_helper.from_array(array(2, 1, 3, 3))),
        helper.make_node("Identity", ["w"], ["same"]),
        helper.make_node("Identity", ["x"], ["image"]),
        helper.make_node("Conv", ["image", "same"], ["y"], pads=[1, 1, 1, 1]),
    ]
    content, image = graph(nodes, {}), array(1, 1, 6, 8)
    np.testing.assert_allclose(here(content, image), in_onnx_runtime(content, image), rtol=1e-4, atol=1e-5)


def test_weights_in_another_file_are_never_opened():
    model = onnx.load_from_string(one(OPERATORS["relu"]))
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    with pytest.raises(ExchangeError, match="reference to another file"):
        read_onnx(model.SerializeToString())


def test_a_graph_needs_one_input_and_one_output():
    model = onnx.load_from_string(one(OPERATORS["relu"]))
    model.graph.input.append(helper.make_tensor_value_info("other", TensorProto.FLOAT, [1]))
    with pytest.raises(ExchangeError, match="one input, one output"):
        read_onnx(model.SerializeToString())


def test_an_output_in_the_middle_is_refused():
    nodes = [helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Relu", ["y"], ["z"])]
    with pytest.raises(ExchangeError, match="last operator"):
        read_onnx(graph(nodes, {}))


def test_bytes_that_are_no_graph_are_refused():
    with pytest.raises(ExchangeError, match="expected an ONNX graph"):
        read_onnx(b"no graph at all")
