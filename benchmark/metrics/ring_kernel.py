"""Sums over the rings of a Fourier half plane; imported only where numba is there."""

import numpy as np
from numpy.typing import NDArray

from benchmark.compiled import compiled


@compiled
def ring_sums(
    a: NDArray[np.complex64], b: NDArray[np.complex64], ring: NDArray[np.int32], rings: int
) -> NDArray[np.float64]:
    """Add up cross power and both powers in every ring.

    Parameters
    ----------
    a, b
        Half planes [side, side // 2 + 1] of real transforms.
    ring
        Number of each coefficient's ring, of the same shape.
    rings
        Numbers from this one on are left out.

    Returns
    -------
    float64 [3, rings]: Re(a b*), |a|^2, |b|^2, each coefficient counted as often as the whole plane holds it.
    """
    sums = np.zeros((rings, 3))
    height, width = a.shape
    for row in range(height):
        for column in range(width):
            number = ring[row, column]
            if number >= rings:
                # Rings only grow along a row.
                break
            one, two = a[row, column], b[row, column]
            weight = 1.0 if column in (0, width - 1) else 2.0
            ar, ai = np.float64(one.real), np.float64(one.imag)
            br, bi = np.float64(two.real), np.float64(two.imag)
            sums[number, 0] += weight * (ar * br + ai * bi)
            sums[number, 1] += weight * (ar * ar + ai * ai)
            sums[number, 2] += weight * (br * br + bi * bi)
    return sums.T
