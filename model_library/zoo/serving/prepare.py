"""Child process that prepares a network: the part of serving that needs torch.

Run by `opening` as `python -m model_library.zoo.serving.prepare FOLDER CACHE --threads N`.
"""

import argparse
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from model_library.errors import CannotFold, ExchangeError
from model_library.images.durable import write_durably
from model_library.inference.agreement import Agreement
from model_library.inference.backends.port import Backend, BackendMissing, OutOfMemory, Windows
from model_library.inference.backends.torch_backend import TorchBackend, torch_precisions
from model_library.inference.engine import geometry_of, load_network
from model_library.inference.geometry import Geometry
from model_library.inference.prepared import (
    ANSWER_FILE,
    CARD_FILE,
    GRAPH_FILE,
    RECORD_FILE,
    Measured,
    Prepared,
    probe,
    this_machine,
)
from model_library.networks.folding import fold
from model_library.signing.digests import sha256_bytes, sha256_file

WINDOW_BYTES = 1 << 30
"""What the feature maps of one window may take, at the most."""
LARGEST_TILE_PX, SMALL_TILE_PX = 1120, 512
_TRIAL_FLOPS = 1e10
_LONGEST_TRIAL_FLOPS = 4e10
_ROUNDS = 2


def prepare(folder: Path, cache: Path, threads: int) -> Prepared:
    """Export a network, measure every backend on it, and keep what was found.

    Parameters
    ----------
    folder
        Folder `{card.json, weights.safetensors}`.
    cache
        Where prepared networks lie; the folder of this one is replaced.
    threads
        That backends may use.

    Raises
    ------
    CardError, WeightsError
        The network is not whole.
    """
    torch.set_num_threads(threads)
    network = load_network(folder)
    geometry = geometry_of(network.card.config)
    module = folded(network.module)
    image = probe(geometry)
    answer = TorchBackend(module)(image).copy()
    graph = _graph(module, image)
    flops = network.card.facts.flops_per_pixel
    trial = Trial(geometry, flops, _bytes_per_pixel(module, geometry), (image, answer), threads)
    record = Prepared(
        card_sha256=sha256_file(folder / CARD_FILE),
        weights_sha256=network.card.weights_sha256,
        graph_sha256=sha256_bytes(graph) if graph else "",
        machine=this_machine(threads),
        geometry=geometry,
        flops_per_pixel=flops,
        measured=tuple(trial.measure(backend) for backend in backends(module, graph, threads)),
    )
    _keep(cache / network.card.weights_sha256, record, graph, answer)
    return record


def folded(module: nn.Module) -> nn.Module:
    """Merge batch normalisation into convolutions where a network has any; channels last."""
    with suppress(CannotFold):
        module, _ = fold(module)
    return module.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def backends(module: nn.Module, graph: bytes, threads: int) -> Iterator[Backend]:
    """Give every backend that is installed, in every precision that the machine has instructions for."""
    for precision in torch_precisions():
        yield TorchBackend(module, precision=precision)
    if torch.cuda.is_available():
        for precision in torch_precisions("cuda"):
            yield TorchBackend(module, precision=precision, device="cuda")
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


class Trial:
    """Measures backends on one network.

    Parameters
    ----------
    flops_per_pixel, bytes_per_pixel
        Per pixel of a window: arithmetic, and float32 feature maps alive at once.
    known
        Image and the answer of torch in float32.
    threads
        That backends were given.
    """

    def __init__(
        self,
        geometry: Geometry,
        flops_per_pixel: int,
        bytes_per_pixel: float,
        known: tuple[Windows, Windows],
        threads: int,
    ) -> None:
        self._threads = threads
        self._geometry, self._flops, self._bytes, self._known = (
            geometry,
            flops_per_pixel,
            bytes_per_pixel,
            known,
        )

    def measure(self, backend: Backend) -> Measured:
        """Hold a backend against torch, and time it in windows as large as memory and patience allow."""
        image, answer = self._known
        agreement = Agreement.of(backend(image), answer)
        rates = {tile: self._rate(backend, tile) for tile in self._tiles(backend)}
        tile = max(rates, key=lambda side: rates[side])
        return Measured(
            backend=backend.name,
            precision=backend.precision,
            mpix_per_s=rates[tile],
            tile_px=tile,
            agreement=agreement,
        )

    def _tiles(self, backend: Backend) -> list[int]:
        share = 1.0 if backend.precision == "float32" else 0.5
        affordable = int((WINDOW_BYTES / (self._bytes * share)) ** 0.5)
        largest = self._clamped(min(LARGEST_TILE_PX, affordable))
        small = self._clamped(min(SMALL_TILE_PX, largest))
        # Where a trial of the largest would take long, it is taken on trust: it wastes least on halos.
        return sorted({small, largest}) if self._flops * largest**2 <= _LONGEST_TRIAL_FLOPS else [largest]

    def _clamped(self, side: int) -> int:
        stride = self._geometry.stride
        return max(self._geometry.least_tile_px, side // stride * stride)

    def _rate(self, backend: Backend, tile: int) -> float:
        side = tile
        while self._flops * side**2 > _LONGEST_TRIAL_FLOPS and side > self._geometry.least_tile_px:
            side = self._clamped(side // 2)
        window = np.random.default_rng(0).random(
            (1, self._geometry.in_channels, side, side), dtype=np.float32
        )
        try:
            seconds = self._best(backend, window)
        except OutOfMemory:
            return 1e-9
        # What the halo costs in windows of the size that will be used, in the middle of an image.
        kept = ((tile - 2 * self._geometry.halo) / tile) ** 2
        return side**2 * kept / seconds / 1e6

    def _best(self, backend: Backend, window: Windows) -> float:
        backend(window)
        rounds = _ROUNDS if self._flops * window.shape[2] ** 2 > _TRIAL_FLOPS else 2 * _ROUNDS
        times = []
        for _ in range(rounds):
            wall, computing = time.perf_counter(), time.process_time()
            backend(window)
            wall, computing = time.perf_counter() - wall, time.process_time() - computing
            # On the processor not the wall: what else loads the machine now would decide for ever.
            times.append(wall if backend.elsewhere else computing / self._threads)
        return max(min(times), 1e-9)


def _graph(module: nn.Module, image: NDArray[np.float32]) -> bytes:
    try:
        from model_library.zoo.exchange.onnx_export import as_onnx

        return as_onnx(module, image).content
    except (ImportError, ExchangeError):
        return b""


def _bytes_per_pixel(module: nn.Module, geometry: Geometry) -> float:
    """Estimate the float32 feature maps alive at once: those round the busiest layer and half as much."""
    busiest = 0

    def count(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal busiest
        alive = sum(each.numel() for each in inputs if isinstance(each, Tensor)) + output.numel()
        busiest = max(busiest, alive)

    hooks = [layer.register_forward_hook(count) for layer in module.modules() if not list(layer.children())]
    side = geometry.rounded_up(64)
    with torch.inference_mode():
        module(torch.zeros(1, geometry.in_channels, side, side))
    for hook in hooks:
        hook.remove()
    return 1.5 * 4 * busiest / side**2


def _keep(final: Path, record: Prepared, graph: bytes, answer: NDArray[np.float32]) -> None:
    incoming = final.with_name(f".{final.name}.{uuid4().hex}")
    incoming.mkdir(parents=True)
    if graph:
        write_durably(incoming / GRAPH_FILE, graph)
    np.save(incoming / ANSWER_FILE, answer)
    write_durably(incoming / RECORD_FILE, record.model_dump_json(indent=2).encode())
    shutil.rmtree(final, ignore_errors=True)
    incoming.replace(final)


def main() -> None:
    """Prepare one network; a refusal is told by the exit code and the last line of standard error."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("cache", type=Path)
    parser.add_argument("--threads", type=int, required=True)
    arguments = parser.parse_args()
    prepare(arguments.folder, arguments.cache, arguments.threads)


if __name__ == "__main__":
    main()
