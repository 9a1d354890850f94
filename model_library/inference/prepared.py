"""What was prepared of a network so that it can serve without torch, and how it is believed.

Preparing (`model_library.zoo.serving.prepare`) writes a folder `<cache>/networks/<digest>/`, named after
card, weights and machine: the graph with its batch normalisation folded, the answer of torch in float32 to a
known image, and a record of how well every backend agrees with it and how fast it is on this very machine.
How fast depends on the architecture alone, and is measured once for all its weights.
"""

import json
import os
import platform
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from model_library.cards.card import CARD_FILE, WEIGHTS_FILE, NetworkCard
from model_library.errors import CardError, WeightsError
from model_library.inference.agreement import Agreement
from model_library.inference.backends.port import BackendName, Precision
from model_library.inference.geometry import Geometry
from model_library.inference.precision import PrecisionPolicy
from model_library.signing.digests import sha256_bytes, sha256_file
from model_library.wire.base import Message
from model_library.wire.methods import Sha256

GRAPH_FILE, RECORD_FILE, ANSWER_FILE = "network.onnx", "prepared.json", "answer.npy"
NETWORKS = "networks"
_PROBE_SEED, _PROBE_SIDE_PX = 0, 64
_LIGHT = 1.25

_LIBRARIES = ("torch", "onnxruntime", "openvino", "synoptic")


class Machine(Message):
    """On what measurements hold; another processor, version or number of threads has others."""

    processor: str
    cores: int
    threads: int
    versions: dict[str, str]


class Rate(Message):
    """How fast one backend is in one precision, whatever the weights.

    Attributes
    ----------
    mpix_per_s
        Input pixels that a window of `tile_px` keeps, per second, in millions; on a processor that has
        nothing else to do.
    tile_px
        Side of the windows, as large as memory allows: they waste least on halos.
    """

    backend: BackendName
    precision: Precision
    mpix_per_s: float = Field(gt=0)
    tile_px: int = Field(gt=0)


class Measured(Rate):
    """What one backend did in one precision; `agreement` is with torch in float32."""

    agreement: Agreement


class Prepared(Message):
    """The record of a network that is ready to serve.

    `graph_sha256` is empty where the network cannot leave torch, or nothing else is installed.
    """

    card_sha256: Sha256
    weights_sha256: Sha256
    graph_sha256: str
    machine: Machine
    geometry: Geometry
    flops_per_pixel: int
    measured: tuple[Measured, ...] = Field(min_length=1)

    def choice(self, precision: PrecisionPolicy = "float32") -> Measured:
        """Give the fastest backend that agrees with torch, in the precisions that are allowed.

        Raises
        ------
        WeightsError
            None agrees.
        """
        allowed = [
            each
            for each in self.measured
            if each.agreement.holds(each.precision) and (precision == "auto" or each.precision == "float32")
        ]
        if not allowed:
            tried = ", ".join(f"{each.backend} {each.precision}" for each in self.measured)
            raise WeightsError(
                f"expected a backend that agrees with torch in float32, found none among {tried}; "
                "install the extras: pip install 'synoptic[openvino,onnxruntime]'"
            )
        # Loading torch takes seconds and hundreds of megabytes: it has to be worth it.
        worth = {each: each.mpix_per_s * (1.0 if each.backend == "torch" else _LIGHT) for each in allowed}
        return max(worth, key=lambda each: worth[each])


def this_machine(threads: int) -> Machine:
    """Describe the machine that this process runs on."""
    versions = {}
    for name in _LIBRARIES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "none"
    return Machine(processor=_processor(), cores=os.cpu_count() or 1, threads=threads, versions=versions)


def gives_instances(network_folder: Path) -> bool:
    """Whether a network gives instances, which only torch computes, in one piece: it is not prepared."""
    try:
        card = json.loads((network_folder / CARD_FILE).read_bytes())
    except (OSError, ValueError):
        return False
    return bool(card.get("config", {}).get("kind") == "mask_rcnn")


def place_of(network_folder: Path, cache: Path, threads: int) -> Path:
    """Give the folder of a network in a cache, whether it is prepared or not.

    Raises
    ------
    CardError
        There is no card.
    """
    try:
        card = (network_folder / CARD_FILE).read_bytes()
    except OSError as failure:
        raise CardError(
            f"{network_folder}: expected a model card, found {failure.strerror}; fetch the network again"
        ) from failure
    # The card holds the digest of the weights.
    key = sha256_bytes(card + this_machine(threads).model_dump_json().encode())
    return cache / NETWORKS / key


def read_prepared(network_folder: Path, cache: Path, threads: int) -> tuple[Prepared, Path] | None:
    """Find what was prepared of a network.

    Parameters
    ----------
    network_folder
        Folder `{card.json, weights.safetensors}`.
    cache
        Where prepared networks lie, one folder each.
    threads
        Of the process that asks.

    Returns
    -------
    The record and its folder; None where there is none, or it is of another card, machine, version or
    number of threads, or a byte of the graph has changed.

    Raises
    ------
    CardError, WeightsError
        There is no card, or no weights, or they are not those of the card.
    """
    digest = _verified_weights(network_folder)
    folder = place_of(network_folder, cache, threads)
    try:
        record = Prepared.model_validate_json((folder / RECORD_FILE).read_bytes())
        graph = sha256_file(folder / GRAPH_FILE) if record.graph_sha256 else ""
    except (OSError, ValidationError):
        return None
    card = sha256_file(network_folder / CARD_FILE)
    fits = (record.card_sha256, record.weights_sha256, record.graph_sha256) == (card, digest, graph)
    return (record, folder) if fits and record.machine == this_machine(threads) else None


def prepared_network(
    network_folder: Path, cache: Path, threads: int, prepare: Callable[[Path, Path, int], object]
) -> tuple[Prepared, Path]:
    """Give what `read_prepared` finds; where that is nothing, after it was prepared.

    Raises
    ------
    CardError, WeightsError
        The network is not whole, or cannot be prepared.
    """
    found = read_prepared(network_folder, cache, threads)
    if found is None:
        prepare(network_folder, cache, threads)
        found = read_prepared(network_folder, cache, threads)
    if found is None:
        raise WeightsError(
            f"{network_folder}: expected a record in {cache}, found none after preparing; free the disk"
        )
    return found


def probe(geometry: Geometry) -> NDArray[np.float32]:
    """Make the image whose answer is kept: waves under noise, unit scaled, [1, C, side, side]."""
    side = geometry.rounded_up(_PROBE_SIDE_PX)
    y, x = np.mgrid[:side, :side]
    scene = 0.5 + 0.3 * np.sin(x / 9) * np.cos(y / 13)
    noise = np.random.default_rng(_PROBE_SEED).normal(0, 0.1, (1, geometry.in_channels, side, side))
    image: NDArray[np.float32] = (scene + noise).astype(np.float32)
    return image


def _verified_weights(network_folder: Path) -> str:
    try:
        told = NetworkCard.model_validate_json((network_folder / CARD_FILE).read_bytes()).weights_sha256
    except (OSError, ValidationError) as failure:
        raise CardError(
            f"{network_folder}: expected a model card, found {failure}; fetch the network again"
        ) from failure
    try:
        found = sha256_bytes((network_folder / WEIGHTS_FILE).read_bytes())
    except OSError as failure:
        raise WeightsError(
            f"{network_folder}: expected weights, found {failure.strerror}; fetch the network again"
        ) from failure
    if found != told:
        raise WeightsError(
            f"{network_folder}: expected weights of SHA-256 {told}, found {found}; fetch the network again"
        )
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    # Machines of one name differ in what they can compute, under virtualisation for one.
    told = [line for line in lines if line.startswith(("model name", "flags", "Features"))][:2]
    name = told[0].partition(":")[2].strip() if told else platform.machine()
    return f"{name} [{sha256_bytes(' '.join(told).encode())[:12]}]"
