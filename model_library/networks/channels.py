"""The channels of a network's input, and the part of them that it restores."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from model_library.networks.config import Channels


def carried(image: Tensor, channels: Channels) -> Tensor:
    """Take what a restored image is an improvement of.

    Parameters
    ----------
    image
        [N, C, Y, X].
    channels
        What its channels are.

    Returns
    -------
    [N, 1 or 3, Y, X]: of neighbouring slices the middle one, else the image itself.
    """
    if channels != "slices":
        return image
    middle = image.shape[1] // 2
    return image[:, middle : middle + 1]


def neighbouring_slices(stack: NDArray[np.float32], z: int, count: int) -> NDArray[np.float32]:
    """Take a slice of a stack with its neighbours; beyond the ends, the last slice is repeated.

    Parameters
    ----------
    stack
        [Z, Y, X], float32.
    z
        Which slice, from 0.
    count
        How many, an odd number.

    Returns
    -------
    [count, Y, X], float32, slice `z` in the middle.
    """
    half = count // 2
    return stack[np.clip(np.arange(z - half, z + half + 1), 0, len(stack) - 1)]
