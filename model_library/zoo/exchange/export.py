"""A network of the library as a bioimage.io 0.5 package."""

from collections.abc import Mapping
from io import BytesIO, StringIO
from pathlib import Path
from uuid import uuid4

import numpy as np
from bioimageio.spec import InvalidDescr, ValidationContext, load_description
from bioimageio.spec.utils import write_yaml
from numpy.typing import NDArray
from scipy.special import softmax

from model_library.errors import ExchangeError
from model_library.images.durable import TEMPORARY_SUFFIX, replace_durably
from model_library.images.intensity import Scaling
from model_library.inference.engine import forward_tiled
from model_library.inference.weights import CARD_FILE, WEIGHTS_FILE, LoadedNetwork
from model_library.networks.build import receptive_radius, scale, stride
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
    content = archive_bytes(package_files(network))
    temporary = path.with_name(f".{path.name}.{uuid4().hex}{TEMPORARY_SUFFIX}")
    try:
        temporary.write_bytes(content)
        _validate(temporary, network.card.id)
        replace_durably(temporary, path)
    except OSError as failure:
        raise ExchangeError(
            f"{path}: expected a place to write a package to, found {failure.strerror}; correct --out"
        ) from failure
    finally:
        temporary.unlink(missing_ok=True)


def package_files(network: LoadedNetwork) -> Mapping[str, bytes]:
    """Make the files of a package, by name; the same network gives the same bytes."""
    card, shape = network.card, geometry(network)
    image = test_image(shape.side)
    unit = Scaling.of(image).apply(image)
    graph = as_onnx(network.module, np.stack([unit, unit[::-1]])[:, None])
    found = forward_tiled(network, unit, tile_px=shape.side)[None]
    if isinstance(card.task, Segment):
        found = softmax(found, axis=1)
    files = {
        README_FILE: documentation(card).encode(),
        CARD_FILE: card_bytes(card),
        WEIGHTS_FILE: weights_bytes(network.module),
        ONNX_FILE: graph.content,
        TEST_INPUT_FILE: _npy(image[None, None]),
        TEST_OUTPUT_FILE: _npy(found.astype(np.float32)),
    }
    digests = {name: sha256_bytes(content) for name, content in files.items()}
    text = StringIO()
    write_yaml(describe(card, shape, digests, graph.opset), text)
    return {DESCRIPTION_FILE: text.getvalue().encode(), **files}


def geometry(network: LoadedNetwork) -> Geometry:
    """Tell which sizes a network takes; the smallest leaves two strides between the halos."""
    config = network.card.config
    step = stride(config)
    halo = -(-receptive_radius(config) // step) * step
    return Geometry(
        side=2 * halo + 2 * step, step=step, halo=halo, scale=scale(config), channels=("intensity",)
    )


def test_image(side: int) -> NDArray[np.float32]:
    """Simulate the test image, float32 [side, side] counts: cells at a low dose, always the same."""
    rng = np.random.default_rng(TEST_SEED)
    clean = render(SpecimenKind.CELLS, (side, side), rng).intensity
    return rng.poisson(TEST_DOSE * clean).astype(np.float32)


def _npy(tensor: NDArray[np.float32]) -> bytes:
    buffer = BytesIO()
    np.save(buffer, tensor, allow_pickle=False)
    return buffer.getvalue()


def _validate(path: Path, network_id: str) -> None:
    with ValidationContext(log_warnings=False, progressbar=False):
        found = load_description(path)
    if isinstance(found, InvalidDescr):
        raise ExchangeError(
            f"expected a card of {network_id} that bioimage.io accepts, found {found.get_reason()}; "
            "correct the card"
        )
