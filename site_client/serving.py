"""The engine behind the worker's port: whole files are streamed, arrays are computed as they are."""

from pathlib import Path

import numpy as np

from model_library.cards.card import CARD_FILE
from model_library.errors import WeightsError
from model_library.images.colour import luminance
from model_library.images.frame import Grey
from model_library.inference.precision import PrecisionPolicy
from model_library.inference.served import ServedNetwork, restore_recording, result_shape
from model_library.wire.methods import NetworkRef
from model_library.wire.tasks import Segment, Task
from model_library.zoo.serving.opening import open_network


class ServedMethod:
    """A network on the backend that calibration chose, as a `benchmark.method.Method`."""

    def __init__(self, network: ServedNetwork) -> None:
        self.network = network

    @property
    def ref(self) -> NetworkRef:
        """Id, version and weights digest."""
        return self.network.card.ref

    @property
    def scale(self) -> int:
        """Output pixels per input pixel along each axis."""
        return self.network.geometry.scale

    def __call__(self, pixels: Grey) -> Grey:
        """Restore an image, or give its pixels class numbers; see `benchmark.method.Method`.

        A network of RGB sees the image in three equal channels, and of what it makes the luminance is given.
        """
        segments = isinstance(self.network.card.task, Segment)
        image, axes = pixels, "YX"
        if self.network.card.config.channels == "rgb":
            image, axes = np.repeat(pixels[..., None], 3, axis=-1), "YXS"
        shape = result_shape(self.network, image.shape, axes)
        result = np.empty(shape, np.uint8 if segments else np.float32)
        restore_recording(self.network, image, axes, result)
        grey = result if result.ndim == pixels.ndim else luminance(result)
        return grey.astype(np.float32, copy=False)


def serve(
    ref: NetworkRef,
    task: Task,
    folder: Path,
    cache: Path,
    *,
    threads: int,
    precision: PrecisionPolicy = "float32",
) -> ServedMethod:
    """Open the network that a reference names.

    Raises
    ------
    WeightsError, CardError
        The folder does not hold this network, whole, for this task.
    """
    method = ServedMethod(open_network(folder, cache, threads=threads, precision=precision))
    if method.ref != ref or method.network.card.task != task:
        card = method.network.card
        raise WeightsError(
            f"{folder / CARD_FILE}: expected {ref.id} {ref.version} for the task {task}, found {card.id} "
            f"{card.version} for {card.task}; install the release again"
        )
    return method
