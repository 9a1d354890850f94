"""Graphs of networks: exported once per architecture, then given other weights in a moment."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from torch import nn

from model_library.errors import ExchangeError


def graph_of(module: nn.Module, image: NDArray[np.float32], template: bytes) -> tuple[bytes, bool]:
    """Give a network as ONNX, checked against the module; empty where it cannot leave torch.

    Parameters
    ----------
    module
        In evaluation mode, normalisation folded.
    image
        float32 [N, C, Y, X], unit scaled, to compare on.
    template
        A graph of a network of the same architecture; empty for none. Exporting takes seconds, this does not.

    Returns
    -------
    The graph, and whether it is the template with other weights.
    """
    try:
        from model_library.zoo.exchange.onnx_export import as_onnx, check_graph
    except ImportError:
        return b"", False
    try:
        if template:
            graph = with_weights(template, {name: each.numpy() for name, each in module.state_dict().items()})
            check_graph(module, graph, image)
            return graph, True
    except ExchangeError:
        # For one, two weights that were equal share a place in it.
        pass
    try:
        return as_onnx(module, image).content, False
    except ExchangeError:
        return b"", False


def with_weights(graph: bytes, weights: Mapping[str, NDArray[np.float32]]) -> bytes:
    """Put other weights into a graph.

    Raises
    ------
    ExchangeError
        It has no place for one of them.
    """
    import onnx

    model = onnx.load_from_string(graph)
    places = {each.name: each for each in model.graph.initializer}
    for name, values in weights.items():
        place = places.get(name)
        if (
            place is None
            or tuple(place.dims) != values.shape
            or place.data_type != onnx.TensorProto.FLOAT
            or not place.raw_data
        ):
            raise ExchangeError(
                f"expected a place for {name} of {values.shape}, found none; export the network anew"
            )
        place.raw_data = np.ascontiguousarray(values, "<f4").tobytes()
    return bytes(model.SerializeToString(deterministic=True))
