"""Making a network ready to serve on this machine: the part of serving that needs torch."""

import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from model_library.cards.card import CARD_FILE
from model_library.errors import CannotFold
from model_library.images.durable import write_durably
from model_library.inference.agreement import Agreement
from model_library.inference.backends.port import Backend, BackendMissing
from model_library.inference.backends.torch_backend import TorchBackend, torch_precisions
from model_library.inference.engine import geometry_of, load_network
from model_library.inference.prepared import (
    ANSWER_FILE,
    GRAPH_FILE,
    RECORD_FILE,
    Measured,
    Prepared,
    place_of,
    probe,
    this_machine,
)
from model_library.inference.self_test import check_self_test
from model_library.networks.folding import fold
from model_library.signing.digests import sha256_bytes, sha256_file
from model_library.zoo.serving.architecture import ArchitectureCache
from model_library.zoo.serving.graphs import graph_of
from model_library.zoo.serving.rates import RateMeter

_NETWORKS_KEPT = 32


def prepare(folder: Path, cache: Path, threads: int) -> Prepared:
    """Export a network, hold every backend against torch, and keep what was found.

    What depends on the architecture alone is taken from the cache where it is known: how fast each backend
    is, and the graph into which weights are put.

    Parameters
    ----------
    folder
        Folder `{card.json, weights.safetensors}`.
    cache
        Where prepared networks lie; the folder of this one is replaced, and those that were not used for
        longest are dropped.
    threads
        That backends may use.

    Raises
    ------
    CardError, WeightsError
        The network is not whole, or does not answer as its card says.
    """
    torch.set_num_threads(threads)
    network = load_network(folder)
    check_self_test(network)
    geometry, machine = geometry_of(network.card.config), this_machine(threads)
    module = folded(network.module)
    image = probe(geometry)
    answer = TorchBackend(module)(image).copy()
    known = ArchitectureCache(cache, network.card.config, machine)
    with known.turn():
        graph, known_graph = graph_of(module, image, known.graph())
        able = list(backends(module, graph, threads))
        known_rates = known.rates()
        flops_per_pixel = network.card.facts.flops_per_pixel
        rates = known_rates or RateMeter(geometry, flops_per_pixel, module, threads).rates(able)
        if not known_graph or not known_rates:
            known.keep(graph, rates)
    by_arithmetic = {(each.backend, each.precision): each for each in rates}
    record = Prepared(
        card_sha256=sha256_file(folder / CARD_FILE),
        weights_sha256=network.card.weights_sha256,
        graph_sha256=sha256_bytes(graph) if graph else "",
        machine=machine,
        geometry=geometry,
        flops_per_pixel=flops_per_pixel,
        measured=tuple(
            Measured(**rate.model_dump(), agreement=Agreement.of(backend(image), answer))
            for backend in able
            if (rate := by_arithmetic.get((backend.name, backend.precision)))
        ),
    )
    _keep(place_of(folder, cache, threads), record, graph, answer)
    return record


def folded(module: nn.Module) -> nn.Module:
    """Merge batch normalisation into convolutions where a network has any; channels last."""
    with suppress(CannotFold):
        module, _ = fold(module)
    return module.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def backends(module: nn.Module, graph: bytes, threads: int) -> Iterator[Backend]:
    """Give every backend that is installed, in every precision that the machine has instructions for."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    for precision in torch_precisions(device):
        yield TorchBackend(module, precision=precision, device=device)
    if not graph:
        return
    try:
        from model_library.inference.backends.onnxruntime_backend import OnnxRuntimeBackend

        yield OnnxRuntimeBackend(graph, threads=threads)
    except BackendMissing:
        pass
    try:
        from model_library.inference.backends.openvino_backend import OpenVinoBackend, openvino_precisions

        for precision in openvino_precisions():
            yield OpenVinoBackend(graph, precision=precision, threads=threads)
    except BackendMissing:
        pass


def _keep(final: Path, record: Prepared, graph: bytes, answer: NDArray[np.float32]) -> None:
    incoming = final.with_name(f".{final.name}.{uuid4().hex}")
    incoming.mkdir(parents=True)
    if graph:
        write_durably(incoming / GRAPH_FILE, graph)
    np.save(incoming / ANSWER_FILE, answer)
    write_durably(incoming / RECORD_FILE, record.model_dump_json(indent=2).encode())
    shutil.rmtree(final, ignore_errors=True)
    incoming.replace(final)
    _drop_old(final.parent)


def _drop_old(networks: Path) -> None:
    """Keep the networks that were used last; what a kill left half made goes as they do."""
    used: dict[Path, float] = {}
    for path in networks.iterdir():
        # Another site may drop it at this moment.
        with suppress(OSError):
            used[path] = path.stat().st_mtime
    for folder in sorted(used, key=lambda path: used[path])[:-_NETWORKS_KEPT]:
        shutil.rmtree(folder, ignore_errors=True)
