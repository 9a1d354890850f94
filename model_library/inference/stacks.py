"""Networks of several slices (2.5-D) and of colour, applied to stacks and to colour images."""

import numpy as np
from numpy.typing import NDArray

from model_library.errors import UnsupportedImage
from model_library.images.intensity import Scaling, refuse_non_finite
from model_library.inference.engine import TILE_PX, restore, segment
from model_library.inference.weights import LoadedNetwork
from model_library.networks.build import in_channels
from model_library.networks.channels import neighbouring_slices
from model_library.networks.config import Channels
from model_library.networks.units import scaling_for


def restore_stack(
    stack: NDArray[np.float32], network: LoadedNetwork, *, tile_px: int = TILE_PX, self_ensemble: bool = False
) -> NDArray[np.float32]:
    """Restore every slice of a stack, each with its neighbours.

    Parameters
    ----------
    stack
        float32 [Z, Y, X], counts; one scaling serves the whole stack.
    network
        Of neighbouring slices, or of single grey ones.
    tile_px, self_ensemble
        See `engine.NetworkMethod`.

    Returns
    -------
    float32 [Z, Y * scale, X * scale], counts.

    Raises
    ------
    NonFinitePixels
        The stack, or what the network makes of it, holds NaN or infinity.
    UnsupportedImage
        The network is for colour, or the stack is none.
    """
    count, scaling = _prepared(stack, network)
    restored = [
        restore(
            neighbouring_slices(stack, z, count),
            network,
            scaling=scaling,
            tile_px=tile_px,
            self_ensemble=self_ensemble,
        )[0]
        for z in range(len(stack))
    ]
    return np.stack(restored)


def segment_stack(
    stack: NDArray[np.float32], network: LoadedNetwork, *, tile_px: int = TILE_PX, self_ensemble: bool = False
) -> NDArray[np.uint8]:
    """Give each pixel of a stack [Z, Y, X] its class, uint8 [Z, Y, X]; otherwise as `restore_stack`."""
    count, scaling = _prepared(stack, network)
    labels = [
        segment(
            neighbouring_slices(stack, z, count),
            network,
            scaling=scaling,
            tile_px=tile_px,
            self_ensemble=self_ensemble,
        )
        for z in range(len(stack))
    ]
    return np.stack(labels)


def restore_rgb(
    pixels: NDArray[np.float32],
    network: LoadedNetwork,
    *,
    tile_px: int = TILE_PX,
    self_ensemble: bool = False,
) -> NDArray[np.float32]:
    """Restore a colour image; one scaling serves its three channels, which keeps the colours.

    Parameters
    ----------
    pixels
        float32 [Y, X, 3], counts.
    network
        Of RGB.
    tile_px, self_ensemble
        See `engine.NetworkMethod`.

    Returns
    -------
    float32 [Y * scale, X * scale, 3], counts.

    Raises
    ------
    NonFinitePixels
        The image, or what the network makes of it, holds NaN or infinity.
    UnsupportedImage
        The network is not for colour, or the image has none.
    """
    _refuse_others(network, ("rgb",))
    if pixels.ndim != 3 or pixels.shape[2] != 3:
        raise UnsupportedImage(
            f"expected a colour image [Y, X, 3], found {pixels.shape}; use a network of grey images"
        )
    restored = restore(pixels.transpose(2, 0, 1), network, tile_px=tile_px, self_ensemble=self_ensemble)
    return np.ascontiguousarray(restored.transpose(1, 2, 0))


def _prepared(stack: NDArray[np.float32], network: LoadedNetwork) -> tuple[int, Scaling]:
    _refuse_others(network, ("grey", "slices"))
    if stack.ndim != 3 or not len(stack):
        raise UnsupportedImage(
            f"expected a stack [Z, Y, X] with slices, found {stack.shape}; put its axes in this order"
        )
    refuse_non_finite(stack, "stack")
    return in_channels(network.card.config), scaling_for(network.card.config, stack)


def _refuse_others(network: LoadedNetwork, allowed: tuple[Channels, ...]) -> None:
    card = network.card
    if card.config.channels not in allowed:
        raise UnsupportedImage(
            f"expected a network of {' or '.join(allowed)}, found {card.id} of {card.config.channels}; "
            "choose another network"
        )
