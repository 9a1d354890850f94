"""One frame and one method -> a result that says where it comes from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.baselines import classical
from benchmark.method import Method
from model_library.errors import WeightsError
from model_library.images.frame import Frame
from model_library.images.intensity import to_dtype
from model_library.wire.methods import ClassicalRef, MethodRef, NetworkRef
from model_library.wire.tasks import Segment, Task


@dataclass(frozen=True, slots=True)
class Result:
    """What is written for a frame.

    Attributes
    ----------
    pixels
        Axes [Y * scale, X * scale]; the dtype of the source, or uint8 class numbers.
    pixel_size_nm
        Side of a pixel of the result.
    provenance
        JSON values by name.
    """

    pixels: NDArray[Any]
    pixel_size_nm: float | None
    provenance: dict[str, Any]


def reconstruct(
    frame: Frame, method: Method, task: Task, *, source: Mapping[str, Any], clock: Callable[[], datetime]
) -> Result:
    """Apply a method to a frame.

    Parameters
    ----------
    frame
        As acquired.
    method
        Its `ref` is what the provenance names.
    source
        What is known of the source: at least `file_name` and `sha256`.
    clock
        Time of making.

    Raises
    ------
    NonFinitePixels
        The method gives NaN or infinity on this frame.
    """
    restored = method(frame.grey)
    dtype = np.dtype(np.uint8) if isinstance(task, Segment) else frame.pixels.dtype
    size = frame.pixel_size_nm
    return Result(
        pixels=to_dtype(restored, dtype),
        pixel_size_nm=None if size is None else size / method.scale,
        provenance={
            "software": f"synoptic {version('synoptic')}",
            "made_at": clock().isoformat(),
            "method": method.ref.model_dump(mode="json"),
            "parameters": _parameters(method.ref),
            "task": task.model_dump(mode="json"),
            "scale": method.scale,
            "source": {**source, "pixel_size_nm": size, "shape": list(frame.pixels.shape)},
        },
    )


def load_method(ref: MethodRef, task: Task, network_folder: Path | None, *, threads: int) -> Method:
    """Make the method that a reference names, verified.

    Parameters
    ----------
    network_folder
        Folder `{card.json, weights.safetensors}`; None for a classical algorithm.
    threads
        For torch, in this whole process.

    Raises
    ------
    WeightsError, CardError
        The folder does not hold the network of the reference, whole.
    UnknownMethod
        This installation has no such classical algorithm.
    """
    match ref:
        case ClassicalRef():
            return classical(ref, task)
        case NetworkRef():
            return _load_network_method(ref, task, network_folder, threads)


def _load_network_method(ref: NetworkRef, task: Task, folder: Path | None, threads: int) -> Method:
    # A worker of a classical algorithm never needs torch, which costs seconds and 300 MB.
    import torch

    from benchmark.networks import SegmentingMethod
    from model_library.inference.engine import NetworkMethod, load_network

    torch.set_num_threads(threads)
    if folder is None:
        raise WeightsError(f"expected the folder of network {ref.id}, found none; install the release again")
    network = load_network(folder)
    found = NetworkRef(
        id=network.card.id, version=network.card.version, weights_sha256=network.card.weights_sha256
    )
    if found != ref or network.card.task != task:
        raise WeightsError(
            f"{folder}: expected {ref.id} {ref.version} for the task {task}, found {found.id} "
            f"{found.version} for {network.card.task}; install the release again"
        )
    if isinstance(task, Segment):
        return SegmentingMethod(network)
    return NetworkMethod(network, threads=threads)


def _parameters(ref: MethodRef) -> dict[str, Any]:
    match ref:
        case ClassicalRef():
            return dict(ref.parameters)
        case NetworkRef():
            return {"normalisation": "percentiles 1 and 99 of the whole image", "arithmetic": "float32"}
