"""Structural similarity in one pass over the rows; imported only where numba is there."""

import numpy as np
from numpy.typing import NDArray

from benchmark.compiled import compiled


@compiled
def similarity_sums(
    x: NDArray[np.float64], y: NDArray[np.float64], taps: NDArray[np.float64], c1: float, c2: float
) -> tuple[float, float]:
    """Sum the similarity, and its part of contrast and structure, over all places where the window fits.

    Parameters
    ----------
    x, y
        Axes [Y, X], one shape, C order.
    taps
        Window along each axis, of odd length, symmetric.
    c1, c2
        Constants of Wang et al. 2004.

    Returns
    -------
    tuple
        Sum of luminance x contrast x structure, and sum of contrast x structure.
    """
    height, width = x.shape
    radius = len(taps) // 2
    # The centre is taken twice by the mirrored sums below, so at half its weight.
    half = taps[radius:].copy()
    half[0] /= 2
    inner = width - 2 * radius
    columns = np.empty((4, width))
    total = 0.0
    total_structure = 0.0
    smooth = np.empty((4, inner))
    for row in range(radius, height - radius):
        _down(x, y, row, half, columns)
        _across(columns, half, smooth)
        for column in range(inner):
            mean_a, mean_b = smooth[0, column], smooth[1, column]
            cross = mean_a * mean_b
            power = mean_a * mean_a + mean_b * mean_b
            structure = (2 * (smooth[3, column] - cross) + c2) / (smooth[2, column] - power + c2)
            total_structure += structure
            total += structure * (2 * cross + c1) / (power + c1)
    return total, total_structure


@compiled
def _down(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    row: int,
    half: NDArray[np.float64],
    columns: NDArray[np.float64],
) -> None:
    """Average x, y, x^2 + y^2 and x y down the columns around a row, into [4, X]."""
    columns[:] = 0
    mean_x, mean_y, squares, product = columns[0], columns[1], columns[2], columns[3]
    for tap in range(len(half)):
        weight = half[tap]
        above_x, below_x = x[row - tap], x[row + tap]
        above_y, below_y = y[row - tap], y[row + tap]
        for column in range(len(mean_x)):
            a, b = above_x[column], below_x[column]
            c, d = above_y[column], below_y[column]
            mean_x[column] += weight * (a + b)
            mean_y[column] += weight * (c + d)
            squares[column] += weight * (a * a + b * b + c * c + d * d)
            product[column] += weight * (a * c + b * d)


@compiled
def _across(columns: NDArray[np.float64], half: NDArray[np.float64], smooth: NDArray[np.float64]) -> None:
    """Average [4, X] along the row where the window fits, into [4, X - 2 radius]."""
    radius = len(half) - 1
    width, inner = columns.shape[1], smooth.shape[1]
    smooth[:] = 0
    for part in range(4):
        into = smooth[part]
        for tap in range(radius + 1):
            weight = half[tap]
            left = columns[part, radius - tap : width - radius - tap]
            right = columns[part, radius + tap :]
            for column in range(inner):
                into[column] += weight * (left[column] + right[column])
