"""A network of the library as a bioimage.io 0.5 package."""

from collections.abc import Mapping
from io import BytesIO, StringIO
from pathlib import Path

import numpy as np
import torch
from bioimageio.spec.utils import write_yaml
from numpy.typing import NDArray
from scipy.special import softmax

from model_library.errors import ExchangeError
from model_library.images.durable import write_durably
from model_library.images.intensity import Scaling
from model_library.inference.weights import CARD_FILE, WEIGHTS_FILE, LoadedNetwork
from model_library.networks.build import receptive_radius, scale, stride
from model_library.networks.config import MaskRCNNConfig, NetworkConfig
from model_library.signing.digests import sha256_bytes
from model_library.specimens import SpecimenKind, render
from model_library.wire.tasks import Segment
from model_library.zoo.exchange.archive import archive_bytes
from model_library.zoo.exchange.description import (
    DESCRIPTION_FILE,
    ONNX_FILE,
    README_FILE,
    TEST_INPUT_FILE,
    TEST_OUTPUT_FILE,
    Geometry,
    describe,
)
from model_library.zoo.exchange.documentation import documentation
from model_library.zoo.exchange.onnx_export import as_onnx
from model_library.zoo.exchange.package import check_package
from model_library.zoo.store import card_bytes, weights_bytes

TEST_SEED = 0
TEST_DOSE = 40.0
"""Electrons per pixel at full intensity."""


def export_package(network: LoadedNetwork, path: Path) -> None:
    """Write a package that `bioimageio test` accepts without a network connection.

    Parameters
    ----------
    network
        Verified.
    path
        The zip file; an earlier one is replaced when the new one has passed validation.

    Raises
    ------
    ExchangeError
        The network cannot be expressed, or bioimage.io refuses its card.
    """
    config = network.card.config
    if isinstance(config, MaskRCNNConfig):
        raise ExchangeError(
            f"expected a network from image to image, found {network.card.id}, a {config.kind}: bioimage.io "
            "has no description of instances; hand on its folder (synoptic library add)"
        )
    if not path.parent.is_dir():
        raise ExchangeError(f"{path}: expected a folder to write a package to, found none; correct --out")
    files = package_files(network)
    # What leaves could come in again: bioimage.io accepts it, and it carries no code.
    check_package(network.card.id, files)
    try:
        write_durably(path, archive_bytes(files))
    except OSError as failure:
        raise ExchangeError(
            f"{path}: expected a place to write a package to, found {failure.strerror}; correct --out"
        ) from failure


def package_files(network: LoadedNetwork) -> Mapping[str, bytes]:
    """Make the files of a package, by name; the same network gives the same bytes."""
    card, shape = network.card, geometry(network.card.config)
    image = test_image(len(shape.channels), shape.side)
    unit = Scaling.of(image).apply(image)
    graph = as_onnx(network.module, np.stack([unit, unit[:, ::-1]]))
    with torch.inference_mode():
        found: NDArray[np.float32] = network.module(torch.from_numpy(unit[None])).numpy()
    if isinstance(card.task, Segment):
        found = softmax(found, axis=1)
    files = {
        README_FILE: documentation(card).encode(),
        CARD_FILE: card_bytes(card),
        WEIGHTS_FILE: weights_bytes(network.module),
        ONNX_FILE: graph.content,
        TEST_INPUT_FILE: _npy(image[None]),
        TEST_OUTPUT_FILE: _npy(found),
    }
    digests = {name: sha256_bytes(content) for name, content in files.items()}
    text = StringIO()
    write_yaml(describe(card, shape, digests, graph.opset), text)
    return {DESCRIPTION_FILE: text.getvalue().encode(), **files}


def geometry(config: NetworkConfig) -> Geometry:
    """Tell which sizes a network takes; the smallest leaves two strides between the halos."""
    step = stride(config)
    halo = -(-receptive_radius(config) // step) * step
    return Geometry(
        side=2 * halo + 2 * step,
        step=step,
        halo=halo,
        scale=scale(config),
        channels=_channel_names(config),
    )


def _channel_names(config: NetworkConfig) -> tuple[str, ...]:
    match config.channels:
        case "grey":
            return ("intensity",)
        case "rgb":
            return ("red", "green", "blue")
        case "slices":
            middle = config.in_channels // 2
            return tuple(f"slice {index - middle:+d}" for index in range(config.in_channels))


def test_image(channels: int, side: int) -> NDArray[np.float32]:
    """Simulate the test image, float32 [channels, side, side] counts: cells at a low dose, ever the same."""
    rng = np.random.default_rng(TEST_SEED)
    clean = render(SpecimenKind.CELLS, (side, side), rng).intensity
    return rng.poisson(TEST_DOSE * clean, size=(channels, side, side)).astype(np.float32)


def _npy(tensor: NDArray[np.float32]) -> bytes:
    buffer = BytesIO()
    np.save(buffer, tensor, allow_pickle=False)
    return buffer.getvalue()
