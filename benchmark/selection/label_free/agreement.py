"""How far two class images agree beyond chance, and how far one is written in the grey values."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from model_library.images.frame import Grey

Classes = NDArray[np.int32]
"""Class numbers, axes [Y, X]."""

_SMOOTHING_PX = 1.5


def kappa(first: Classes, second: Classes) -> float:
    """Agreement of two class images [Y, X] beyond chance (Cohen 1960); 0 where either shows one class alone.

    Where a structure is rare it is the Dice coefficient (Zijdenbos et al., IEEE Trans. Med. Imaging 1994);
    but what finds nothing, or everything, agrees with itself by chance alone, and is worth nothing.
    """
    count = 1 + int(max(first.max(), second.max()))
    table = np.bincount((first * count + second).ravel(), minlength=count**2).reshape(count, count)
    shares = table / table.sum()
    by_chance = float(shares.sum(axis=0) @ shares.sum(axis=1))
    if by_chance >= 1 or min((table.sum(axis=axis) > 0).sum() for axis in (0, 1)) < 2:
        return 0.0
    return (float(np.trace(shares)) - by_chance) / (1 - by_chance)


def separation(pixels: Grey, classes: Classes) -> float:
    """Share of the smoothed image's variance that lies between the classes (Otsu 1979), in [0, 1].

    A segmentation that follows the grey values of phases explains much of it; one that follows noise,
    artefacts, or a structure too sparse to be all that was asked for, explains little.
    """
    smooth = ndimage.gaussian_filter(pixels.astype(np.float64), _SMOOTHING_PX)
    variance = float(smooth.var())
    if variance <= 0:
        return 0.0
    numbers = classes.ravel()
    sizes = np.bincount(numbers)
    sums = np.bincount(numbers, weights=smooth.ravel())
    means = np.divide(sums, sizes, out=np.zeros(len(sums)), where=sizes > 0)
    between = float((sizes / numbers.size) @ np.square(means - smooth.mean()))
    return min(1.0, between / variance)


def consensus(results: Sequence[Classes]) -> list[float]:
    """Mean agreement of each class image with those of all others, in [-1, 1]; 1 for one alone.

    Where the errors of networks are independent, what they agree on is right more often than any of
    them: compare Warfield et al. (STAPLE, IEEE Trans. Med. Imaging 2004).
    """
    if len(results) == 1:
        return [1.0]
    table = np.ones((len(results), len(results)))
    for row in range(len(results)):
        for column in range(row):
            table[row, column] = table[column, row] = kappa(results[row], results[column])
    return [float((each.sum() - 1) / (len(results) - 1)) for each in table]
