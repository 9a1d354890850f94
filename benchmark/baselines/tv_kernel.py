"""Accelerated dual projection for total variation, row by row; imported only where numba is there."""

import numpy as np
from numpy.typing import NDArray

from benchmark.compiled import compiled


@compiled
def project(
    pixels: NDArray[np.float32], weight: np.float32, step: np.float32, momenta: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Take one step per momentum, and give the smoothed image; the same operations as in numpy, in its order.

    Parameters
    ----------
    pixels
        float32 [Y, X].
    weight
        Of the variation.
    step
        Length of a dual step.
    momenta
        float32 [steps], how far each step goes on in its direction.
    """
    height, width = pixels.shape
    dual = np.zeros((2, height, width), dtype=np.float32)
    ahead = np.zeros((2, height, width), dtype=np.float32)
    here, below = np.empty(width, dtype=np.float32), np.empty(width, dtype=np.float32)
    for momentum in momenta:
        _smooth(pixels, ahead, weight, 0, here)
        for row in range(height):
            if row + 1 < height:
                _smooth(pixels, ahead, weight, row + 1, below)
            else:
                # No step downwards from the last row.
                below[:] = here
            down, across = ahead[0, row], ahead[1, row]
            dual_down, dual_across = dual[0, row], dual[1, row]
            for column in range(width - 1):
                across[column] += step * (here[column + 1] - here[column])
            for column in range(width):
                one_way = down[column] + step * (below[column] - here[column])
                other_way = across[column]
                length = max(np.float32(1), np.sqrt(one_way * one_way + other_way * other_way))
                one_way, other_way = one_way / length, other_way / length
                down[column] = one_way + momentum * (one_way - dual_down[column])
                across[column] = other_way + momentum * (other_way - dual_across[column])
                dual_down[column], dual_across[column] = one_way, other_way
            here, below = below, here
    smooth = np.empty_like(pixels)
    for row in range(height):
        _smooth(pixels, dual, weight, row, smooth[row])
    return smooth


@compiled
def _smooth(
    pixels: NDArray[np.float32],
    field: NDArray[np.float32],
    weight: np.float32,
    row: int,
    into: NDArray[np.float32],
) -> None:
    """Add the weighted divergence of a field to one row of pixels."""
    down, across = field[0, row], field[1, row]
    width = len(into)
    if row > 0:
        above = field[0, row - 1]
        into[0] = pixels[row, 0] + weight * (down[0] + across[0] - above[0])
        for column in range(1, width):
            spread = down[column] + across[column] - above[column] - across[column - 1]
            into[column] = pixels[row, column] + weight * spread
    else:
        into[0] = pixels[row, 0] + weight * (down[0] + across[0])
        for column in range(1, width):
            spread = down[column] + across[column] - across[column - 1]
            into[column] = pixels[row, column] + weight * spread
