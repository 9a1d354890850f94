"""A network applied to a whole image, window by window, exactly as if in one piece."""

import numpy as np
import torch
from numpy.typing import NDArray

from model_library.errors import NonFinitePixels
from model_library.images.frame import Grey
from model_library.images.intensity import refuse_non_finite
from model_library.images.tiling import plan_tiles
from model_library.inference.weights import LoadedNetwork, load_network
from model_library.networks.build import out_channels, receptive_radius, scale, stride
from model_library.networks.units import scaling_for
from model_library.wire.methods import NetworkRef

__all__ = ["LoadedNetwork", "NetworkMethod", "load_network", "segment"]

TILE_PX = 512


class NetworkMethod:
    """A restoring network behind the port `benchmark.method.Method`.

    Parameters
    ----------
    network
        With one output channel.
    tile_px
        Side of a window in input pixels; larger ones waste less on halos and need more memory.
        Enlarged where a network's receptive field leaves no core.
    threads
        For torch in this process from now on; None leaves its setting as it is.
    """

    def __init__(self, network: LoadedNetwork, *, tile_px: int = TILE_PX, threads: int | None = None) -> None:
        if out_channels(network.card.config) != 1:
            raise ValueError(f"{network.card.id} segments: use `segment`, which gives labels")
        self._network = network
        self._tile_px = tile_px
        if threads is not None:
            torch.set_num_threads(threads)

    @property
    def ref(self) -> NetworkRef:
        """Id, version and weights digest, for provenance and releases."""
        card = self._network.card
        return NetworkRef(id=card.id, version=card.version, weights_sha256=card.weights_sha256)

    @property
    def scale(self) -> int:
        """Output pixels per input pixel along each axis."""
        return scale(self._network.card.config)

    def __call__(self, pixels: Grey) -> Grey:
        """Restore an image: float32 [Y, X] counts -> float32 [Y * scale, X * scale] counts.

        Raises
        ------
        NonFinitePixels
            The image, or what the network makes of it, holds NaN or infinity.
        """
        refuse_non_finite(pixels, "image")
        scaling = scaling_for(self._network.card.config, pixels)
        restored = forward_tiled(self._network, scaling.apply(pixels), tile_px=self._tile_px)[0]
        return scaling.invert(restored)


def segment(pixels: Grey, network: LoadedNetwork, *, tile_px: int = TILE_PX) -> NDArray[np.uint8]:
    """Give each pixel the class of the highest score.

    Parameters
    ----------
    pixels
        float32 [Y, X], counts.
    network
        With one output channel per class.
    tile_px
        Side of a window.

    Returns
    -------
    uint8 [Y, X], class indices.
    """
    refuse_non_finite(pixels, "image")
    unit = scaling_for(network.card.config, pixels).apply(pixels)
    scores = forward_tiled(network, unit, tile_px=tile_px)
    labels: NDArray[np.uint8] = scores.argmax(axis=0).astype(np.uint8)
    return labels


def forward_tiled(network: LoadedNetwork, image: Grey, *, tile_px: int) -> NDArray[np.float32]:
    """Apply a network to a unit-scaled image [Y, X] -> [C, Y * scale, X * scale].

    Windows overlap by the receptive radius rounded up to the stride and start on the pooling grid,
    so that each kept pixel is what the whole image in one piece would have given. Sides that are
    no multiples of the stride are extended by their edge pixels, and cut back.
    """
    config = network.card.config
    step, factor = stride(config), scale(config)
    height, width = image.shape
    padded = np.pad(image, ((0, -height % step), (0, -width % step)), mode="edge")
    halo = _round_up(receptive_radius(config), step)
    side = max(_round_up(tile_px, step), 2 * halo + 4 * step)
    shape = (out_channels(config), padded.shape[0] * factor, padded.shape[1] * factor)
    output = np.empty(shape, np.float32)
    for tile in plan_tiles((padded.shape[0], padded.shape[1]), side, halo, step):
        result = _forward(network, padded[tile.window])
        coarse = tile.scaled(factor)
        output[(slice(None), *coarse.core)] = result[(slice(None), *coarse.inner)]
    if not np.isfinite(output).all():
        raise NonFinitePixels(
            f"expected finite grey values from {network.card.id} {network.card.version}, "
            "found NaN or infinity; do not use this network on this image"
        )
    return output[:, : height * factor, : width * factor]


@torch.inference_mode()
def _forward(network: LoadedNetwork, window: Grey) -> NDArray[np.float32]:
    tensor = torch.from_numpy(np.ascontiguousarray(window))[None, None]
    scores = network.module(tensor.contiguous(memory_format=torch.channels_last))
    result: NDArray[np.float32] = scores[0].numpy()
    return result


def _round_up(length: int, step: int) -> int:
    return -(-length // step) * step
