"""Who takes part: the engine's backends and peers, each from a 16-bit image to a 16-bit image."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmark.inference.rows import BIOIMAGEIO, MONAI, MONAI_TUNED, NetworkName
from model_library.cards.card import NetworkCard
from model_library.images.intensity import Scaling, to_dtype
from model_library.inference.backends.port import Precision
from model_library.inference.prepared import Measured, Prepared
from model_library.inference.served import ServedNetwork, restore_recording, result_shape
from model_library.inference.weights import LoadedNetwork, load_network
from model_library.networks.build import build
from model_library.networks.config import EDSRConfig, NetworkConfig, UNetConfig
from model_library.networks.facts import facts
from model_library.wire.tasks import Denoise, SuperResolve
from model_library.zoo.exchange.export import export_package
from model_library.zoo.serving.opening import open_choice
from model_library.zoo.serving.prepare import folded
from model_library.zoo.store import save_network

Wide = NDArray[np.uint16]
Restore = Callable[[Wide], NDArray[np.uint16]]

CONFIGS: dict[NetworkName, NetworkConfig] = {
    "unet": UNetConfig(widths=(32, 64, 128, 256), normalisation="batch"),
    "edsr-x2": EDSRConfig(blocks=16, width=64, scale=2),
}
_SEED = 0
_WEIGHT_GAIN = 3.0
_MONAI_WINDOWS = 4
_BIOIMAGEIO_BLOCK_PX: dict[NetworkName, int] = {"unet": 608, "edsr-x2": 288}


@dataclass(frozen=True)
class Contestant:
    """Something that restores a 16-bit image."""

    name: str
    precision: Precision
    restore: Restore


def plant(name: NetworkName, folder: Path) -> LoadedNetwork:
    """Make a network of the benchmark with drawn weights, and keep it in a folder."""
    config = CONFIGS[name]
    torch.manual_seed(_SEED)
    module = build(config)
    with torch.no_grad():
        # A fresh network hardly changes an image; here every layer shall matter for the error.
        for layer in module.modules():
            if isinstance(layer, nn.Conv2d) and layer.out_channels == 1:
                layer.weight.mul_(_WEIGHT_GAIN)
    card = NetworkCard(
        id=name,
        version="1.0.0",
        purpose="benchmark",
        task=SuperResolve(scale=2) if isinstance(config, EDSRConfig) else Denoise(),
        config=config,
        facts=facts(config),
        weights_sha256="0" * 64,
    )
    save_network(folder, module, card)
    return load_network(folder)


def engine(folder: Path, record: Prepared, place: Path, choice: Measured) -> Contestant:
    """Give one backend of the engine."""
    network = open_choice(folder, place, record, choice)
    return Contestant(choice.backend, choice.precision, lambda image: restored(network, image))


def restored(network: ServedNetwork, image: Wide) -> NDArray[np.uint16]:
    """Restore an image by the engine, in memory."""
    result = np.empty(result_shape(network, image.shape, "YX"), np.uint16)
    restore_recording(network, image, "YX", result)
    return result


def monai(module: nn.Module, *, tuned: bool) -> Contestant:
    """Give MONAI's sliding window by its defaults, or as well as it can be tuned by its parameters.

    By default windows overlap by a quarter. What has no default: windows of 256, four at once as in its
    tutorials (whose windows of 96 waste more). Tuned means weights in bfloat16, channels last, batch
    normalisation folded, windows of 512 that overlap by an eighth.
    """
    from monai.inferers.utils import sliding_window_inference

    dtype = torch.bfloat16 if tuned else torch.float32
    # What a library loads lies channels last already; a module as it is built does not.
    layout = torch.channels_last if tuned else torch.contiguous_format
    network: Any = module.to(dtype).to(memory_format=layout)  # type: ignore[call-overload]

    def predict(windows: Tensor) -> Tensor:
        result: Tensor = network(windows.contiguous(memory_format=torch.channels_last) if tuned else windows)
        return result

    @torch.inference_mode()
    def restore(image: Wide) -> NDArray[np.uint16]:
        scaling = Scaling.of(image)
        tensor = torch.from_numpy(scaling.apply(image))[None, None].to(dtype)
        found: Any = (
            sliding_window_inference(tensor, 512, 1, predict, overlap=0.125)
            if tuned
            else sliding_window_inference(tensor, 256, _MONAI_WINDOWS, predict)
        )
        return to_dtype(scaling.invert(found[0, 0].float().numpy()), np.uint16)

    return Contestant(MONAI_TUNED if tuned else MONAI, "bfloat16" if tuned else "float32", restore)


def bioimageio(name: NetworkName, network: LoadedNetwork, folder: Path) -> Contestant:
    """Give bioimageio.core on the exported package, in blocks; it scales by percentiles itself."""
    from bioimageio.core import create_prediction_pipeline, load_model_description, predict

    package = folder / f"{name}.zip"
    export_package(network, package)
    pipeline = create_prediction_pipeline(load_model_description(package, perform_io_checks=False))
    description: Any = pipeline.model_description
    (input_id,) = (each.id for each in description.inputs)
    side = _BIOIMAGEIO_BLOCK_PX[name]

    def restore(image: Wide) -> NDArray[np.uint16]:
        blocks: Any = {input_id: {"y": min(side, image.shape[0]), "x": min(side, image.shape[1])}}
        tensor = image.astype(np.float32)[None, None]
        sample = predict(model=pipeline, inputs={input_id: tensor}, input_block_shape=blocks)
        (found,) = sample.members.values()
        unit = np.asarray(found.data.data)[0, 0].astype(np.float32)
        return to_dtype(Scaling.of(image).invert(unit), np.uint16)

    return Contestant(BIOIMAGEIO, "float32", restore)


def peers(name: NetworkName, network: LoadedNetwork, folder: Path) -> list[Contestant]:
    """Give the peers, each with a network of its own."""
    return [
        monai(load_network(folder).module, tuned=False),
        monai(folded(load_network(folder).module), tuned=True),
        bioimageio(name, network, Path(tempfile.mkdtemp(dir=folder))),
    ]
