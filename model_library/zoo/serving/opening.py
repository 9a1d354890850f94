"""From a network's folder to something that computes windows, on the backend that is best here.

Torch is loaded only where it is that backend; a network that was never prepared on this machine is
prepared first, by a child.
"""

import os
import shutil
from contextlib import suppress
from pathlib import Path

import numpy as np

from model_library.cards.card import CARD_FILE, NetworkCard
from model_library.errors import WeightsError
from model_library.inference.agreement import Agreement
from model_library.inference.backends.port import Backend
from model_library.inference.precision import PrecisionPolicy
from model_library.inference.prepared import (
    ANSWER_FILE,
    GRAPH_FILE,
    Measured,
    Prepared,
    prepared_network,
    probe,
)
from model_library.inference.served import ServedNetwork
from model_library.inference.windows import Tiling
from model_library.zoo.serving.child import Prepare, prepare_in_child


def open_network(
    folder: Path,
    cache: Path,
    *,
    threads: int,
    precision: PrecisionPolicy = "float32",
    prepare: Prepare = prepare_in_child,
) -> ServedNetwork:
    """Open a network on the fastest backend that agrees with torch.

    Parameters
    ----------
    folder
        Folder `{card.json, weights.safetensors}`.
    cache
        Where prepared networks lie, and what is known of architectures.
    threads
        That the backend may use.
    precision
        What may be computed in.
    prepare
        What is done where the network is not prepared yet, or for another machine.

    Raises
    ------
    CardError, WeightsError
        The network is not whole, cannot be prepared, or no longer gives the answer that was kept.
    """
    record, place = prepared_network(folder, cache, threads, prepare)
    try:
        return open_choice(folder, place, record, record.choice(precision))
    except WeightsError:
        # Damaged, or made by another version of this program: made anew.
        shutil.rmtree(place, ignore_errors=True)
    record, place = prepared_network(folder, cache, threads, prepare)
    return open_choice(folder, place, record, record.choice(precision))


def open_choice(folder: Path, place: Path, record: Prepared, choice: Measured) -> ServedNetwork:
    """Open a network on one of the backends that were measured.

    Parameters
    ----------
    folder
        Folder `{card.json, weights.safetensors}`.
    place, record
        What was prepared, as `prepared.read_prepared` gives it.
    choice
        One of `record.measured`.

    Raises
    ------
    CardError, WeightsError
        The network is not whole, or no longer gives the answer that was kept.
    """
    backend = _backend(choice, folder, place, record.machine.threads)
    _refuse_another_answer(backend, record, place)
    with suppress(OSError):
        os.utime(place)
    card = NetworkCard.model_validate_json((folder / CARD_FILE).read_bytes())
    return ServedNetwork(card, record.geometry, backend, Tiling(choice.tile_px))


def _backend(choice: Measured, folder: Path, place: Path, threads: int) -> Backend:
    match choice.backend:
        case "onnxruntime":
            from model_library.inference.backends.onnxruntime_backend import OnnxRuntimeBackend

            return OnnxRuntimeBackend((place / GRAPH_FILE).read_bytes(), threads=threads)
        case "openvino":
            from model_library.inference.backends.openvino_backend import OpenVinoBackend

            graph = (place / GRAPH_FILE).read_bytes()
            return OpenVinoBackend(graph, precision=choice.precision, threads=threads)
        case "torch":
            return _torch(choice, folder, threads)


def _torch(choice: Measured, folder: Path, threads: int) -> Backend:
    import torch

    from model_library.inference.backends.torch_backend import TorchBackend
    from model_library.inference.engine import load_network
    from model_library.zoo.serving.prepare import folded

    torch.set_num_threads(threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return TorchBackend(folded(load_network(folder).module), precision=choice.precision, device=device)


def _refuse_another_answer(backend: Backend, record: Prepared, place: Path) -> None:
    try:
        expected = np.load(place / ANSWER_FILE)
    except (OSError, ValueError) as failure:
        raise WeightsError(f"{place}: expected the answer of torch, found {failure}; delete it") from failure
    agreement = Agreement.of(backend(probe(record.geometry)), expected)
    if not agreement.holds(backend.precision):
        raise WeightsError(
            f"{place}: expected the answer of torch in float32 from {backend.name} in {backend.precision}, "
            f"found one {agreement.max_error_over_std:.2g} standard deviations and "
            f"{agreement.psnr_db:.1f} dB away; delete this folder"
        )
