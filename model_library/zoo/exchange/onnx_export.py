"""From a module to an ONNX file, checked against the module before it is believed."""

import copy
import warnings
from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime  # type: ignore[import-untyped]
import torch
from numpy.typing import NDArray
from torch import nn

from model_library.errors import ExchangeError

INPUT, OUTPUT = "input", "output"
MOST_DIFFERENCE = 1e-4
"""Of the output's standard deviation; two engines round differently."""


@dataclass(frozen=True, slots=True)
class OnnxFile:
    """A graph with its weights, and the version of the operators it is written in."""

    content: bytes
    opset: int


def as_onnx(module: nn.Module, images: NDArray[np.float32]) -> OnnxFile:
    """Export a module for images of any number and size.

    Parameters
    ----------
    module
        In evaluation mode; one tensor in, one tensor out. It is left as it is.
    images
        float32 [N, C, Y, X], unit scaled, to trace with and to compare on.

    Returns
    -------
    The graph, its weights under the keys of the state dict, without traces of this machine.

    Raises
    ------
    ExchangeError
        The module cannot be exported, or ONNX Runtime computes something else from the graph.
    """
    # Export wants plain strides; the engine's module keeps its own.
    plain = copy.deepcopy(module).to(memory_format=torch.contiguous_format).eval()  # type: ignore[call-overload]
    graph = _export(plain, torch.from_numpy(images))
    content = graph.SerializeToString(deterministic=True)
    check_graph(plain, content, images)
    return OnnxFile(content, opset=next(each.version for each in graph.opset_import if not each.domain))


def check_graph(module: nn.Module, content: bytes, images: NDArray[np.float32]) -> None:
    """Hold a graph against the module that it stands for.

    Parameters
    ----------
    images
        float32 [N, C, Y, X], unit scaled, to compare on.

    Raises
    ------
    ExchangeError
        ONNX Runtime computes something else from the graph.
    """
    with torch.inference_mode():
        expected: NDArray[np.float32] = module(torch.from_numpy(images)).numpy()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    (found,) = session.run([OUTPUT], {INPUT: images})
    error = float(np.abs(found - expected).max()) if found.shape == expected.shape else float("inf")
    if not error <= MOST_DIFFERENCE * float(expected.std()):
        raise ExchangeError(
            f"expected {expected.shape} from ONNX Runtime as from torch, found {found.shape} and a "
            f"difference of {error:.2g} where the output varies by {expected.std():.2g}; report the network"
        )


def _export(module: nn.Module, example: torch.Tensor) -> onnx.ModelProto:
    free = torch.export.Dim.DYNAMIC
    with warnings.catch_warnings():
        # The exporter warns of its own innards.
        warnings.simplefilter("ignore")
        try:
            program = torch.onnx.export(
                module,
                (example,),
                dynamo=True,
                verbose=False,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes=({0: "batch", 2: free, 3: free},),
                external_data=False,
            )
        except torch.onnx.errors.OnnxExporterError as failure:
            raise ExchangeError(
                f"expected a network that ONNX can express, found {type(module).__name__}: {failure}"
            ) from failure
    assert program is not None
    graph: onnx.ModelProto = program.model_proto
    _forget_this_machine(graph)
    return graph


def _forget_this_machine(model: onnx.ModelProto) -> None:
    """Drop stack traces with local paths; they would also differ from machine to machine."""
    graph = model.graph
    values = (*graph.input, *graph.output, *graph.initializer, *graph.value_info)
    for part in (model, graph, *graph.node, *values):
        del part.metadata_props[:]
        part.doc_string = ""
