"""A network applied to a whole image, window by window, exactly as if in one piece: the reference.

Torch in float32 on arrays in memory, with nothing prepared: it judges networks, and what serves files
(`served`, on the fastest backend) is held against it. Both share windows and self-ensemble.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from model_library.errors import NonFinitePixels, UnsupportedImage
from model_library.images.frame import Grey
from model_library.images.intensity import Scaling, refuse_non_finite
from model_library.inference.backends.port import Backend
from model_library.inference.backends.torch_backend import TorchBackend
from model_library.inference.geometry import Geometry
from model_library.inference.instances import instances
from model_library.inference.self_ensemble import Channels, SelfEnsemble
from model_library.inference.weights import LoadedNetwork, load_network
from model_library.inference.windows import TILE_PX, Tiling, computed
from model_library.networks.build import (
    exact_tiling,
    in_channels,
    out_channels,
    receptive_radius,
    scale,
    stride,
)
from model_library.networks.config import MaskRCNNConfig, NetworkConfig
from model_library.networks.units import scaling_for
from model_library.wire.methods import NetworkRef
from model_library.wire.tasks import Segment

__all__ = [
    "TILE_PX",
    "LoadedNetwork",
    "NetworkMethod",
    "forward_tiled",
    "geometry_of",
    "load_network",
    "restore",
    "segment",
]


class NetworkMethod:
    """A restoring network of grey images behind the port `benchmark.method.Method`.

    Parameters
    ----------
    network
        With one input and one output channel.
    tile_px
        Side of a window in input pixels; larger ones waste less on halos and need more memory.
        Enlarged where a network's receptive field leaves no core.
    self_ensemble
        Average over the eight ways to turn and mirror the image: better by a little, eight times
        as slow.
    threads
        For torch in this process from now on; None leaves its setting as it is.
    """

    def __init__(
        self,
        network: LoadedNetwork,
        *,
        tile_px: int = TILE_PX,
        self_ensemble: bool = False,
        threads: int | None = None,
    ) -> None:
        card = network.card
        if isinstance(card.task, Segment):
            raise ValueError(f"{card.id} segments: use `segment`, which gives labels")
        if in_channels(card.config) != 1 or out_channels(card.config) != 1:
            raise ValueError(
                f"{card.id} works on {card.config.channels}: use `restore_rgb` or `restore_stack` instead"
            )
        self._network = network
        self._tile_px = tile_px
        self._self_ensemble = self_ensemble
        if threads is not None:
            torch.set_num_threads(threads)

    @property
    def ref(self) -> NetworkRef:
        """Id, version and weights digest, for provenance and releases."""
        return self._network.card.ref

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
        restored: Grey = restore(
            pixels[None], self._network, tile_px=self._tile_px, self_ensemble=self._self_ensemble
        )[0]
        return restored


def restore(
    channels: Channels,
    network: LoadedNetwork,
    *,
    scaling: Scaling | None = None,
    tile_px: int = TILE_PX,
    self_ensemble: bool = False,
) -> Channels:
    """Restore an image of one or more channels.

    Parameters
    ----------
    channels
        float32 [C, Y, X], counts.
    network
        With this many input channels.
    scaling
        From counts to the network's units, one for all channels; None takes that of this image.
    tile_px, self_ensemble
        See `NetworkMethod`.

    Returns
    -------
    float32 [1 or 3, Y * scale, X * scale], counts.

    Raises
    ------
    NonFinitePixels
        The image, or what the network makes of it, holds NaN or infinity.
    UnsupportedImage
        It has another number of channels.
    """
    refuse_non_finite(channels, "image")
    scaling = scaling or scaling_for(network.card.config, channels)
    unit = scaling.apply(channels)
    return scaling.invert(forward_tiled(network, unit, tile_px=tile_px, self_ensemble=self_ensemble))


def segment(
    pixels: NDArray[np.float32],
    network: LoadedNetwork,
    *,
    scaling: Scaling | None = None,
    tile_px: int = TILE_PX,
    self_ensemble: bool = False,
) -> NDArray[np.uint8]:
    """Give each pixel the class of the highest score, or of the instance that it belongs to.

    Parameters
    ----------
    pixels
        float32 [Y, X] or [C, Y, X], counts.
    network
        With one output channel per class, or Mask R-CNN.
    scaling, tile_px, self_ensemble
        See `restore`; Mask R-CNN takes the image in one piece and as it is.

    Returns
    -------
    uint8 [Y, X], class indices.

    Raises
    ------
    NonFinitePixels, UnsupportedImage
        See `restore`.
    """
    channels = pixels if pixels.ndim == 3 else pixels[None]
    if isinstance(network.card.config, MaskRCNNConfig):
        found = instances(channels, network, scaling=scaling)
        return np.concatenate([np.zeros(1, np.uint8), found.classes.astype(np.uint8)])[found.labels]
    refuse_non_finite(channels, "image")
    unit = (scaling or scaling_for(network.card.config, channels)).apply(channels)
    scores = forward_tiled(network, unit, tile_px=tile_px, self_ensemble=self_ensemble)
    labels: NDArray[np.uint8] = scores.argmax(axis=0).astype(np.uint8)
    return labels


def forward_tiled(
    network: LoadedNetwork, image: Channels, *, tile_px: int = TILE_PX, self_ensemble: bool = False
) -> Channels:
    """Apply a network to a unit-scaled image [C, Y, X] -> [C', Y * scale, X * scale].

    Windows overlap by the receptive radius rounded up to the stride and start on the pooling grid,
    so that each kept pixel is, bit for bit, what the whole image in one piece would have given
    (where the facts on the card say `exact_tiling`). Sides that are no multiples of the stride are
    extended by their edge pixels, and cut back.

    Raises
    ------
    UnsupportedImage
        The image has another number of channels than the network, or the network gives no image.
    NonFinitePixels
        The network gives NaN or infinity.
    """
    card = network.card
    if isinstance(card.config, MaskRCNNConfig) or image.shape[0] != in_channels(card.config):
        raise UnsupportedImage(
            f"expected an image of {in_channels(card.config)} channels ({card.config.channels}) and a "
            f"network that gives one, found {image.shape[0]} channels and {card.id}, a {card.config.kind}; "
            "choose a network for such images, and `instances` for instances"
        )
    backend: Backend = TorchBackend(network.module)
    if self_ensemble:
        backend = SelfEnsemble(backend)
    output = computed(image, backend, geometry_of(card.config), Tiling(tile_px))
    if not np.isfinite(output).all():
        raise NonFinitePixels(
            f"expected finite grey values from {card.id} {card.version}, "
            "found NaN or infinity; do not use this network on this image"
        )
    return output


def geometry_of(config: NetworkConfig) -> Geometry:
    """Give what windows need to know of an architecture that gives an image."""
    return Geometry(
        in_channels=in_channels(config),
        out_channels=out_channels(config),
        scale=scale(config),
        stride=stride(config),
        radius=receptive_radius(config),
        exact=exact_tiling(config),
    )
