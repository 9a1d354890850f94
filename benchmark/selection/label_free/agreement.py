"""How far two class images agree beyond chance, and how far one is written in the grey values."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from model_library.images.frame import Grey

Classes = NDArray[np.int32]
"""Class numbers, axes [Y, X]."""

_SMOOTHING_PX = 1.5
_ROUNDS = 3


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


def smoothed(pixels: Grey) -> NDArray[np.float64]:
    """Suppress the noise of an image [Y, X], so that what is left is what the specimen shows."""
    return np.asarray(ndimage.gaussian_filter(pixels.astype(np.float64), _SMOOTHING_PX))


def separation(pixels: Grey, classes: Classes) -> float:
    """Share of the smoothed image's variance that lies between the classes (Otsu 1979), in [0, 1].

    A segmentation that follows the grey values of phases explains much of it; one that follows noise,
    artefacts, or a structure too sparse to be all that was asked for, explains little.
    """
    smooth = smoothed(pixels)
    variance = float(smooth.var())
    if variance <= 0:
        return 0.0
    numbers = classes.ravel()
    sizes = np.bincount(numbers)
    sums = np.bincount(numbers, weights=smooth.ravel())
    means = np.divide(sums, sizes, out=np.zeros(len(sums)), where=sizes > 0)
    between = float((sizes / numbers.size) @ np.square(means - smooth.mean()))
    return min(1.0, between / variance)


def consensus(results: Sequence[Classes], trust: Sequence[float]) -> list[float]:
    """Agreement of each class image with those of the others, in [0, 1]; 1 where no other is trusted.

    Where the errors of networks are independent, what they agree on is right more often than any of
    them: compare STAPLE (Warfield et al., IEEE Trans. Med. Imaging 2004), which weights them in turns as
    well.

    Parameters
    ----------
    trust
        Of each, not negative: what speaks for it otherwise. The others count by their trust times the
        consensus that they found in the round before, so that a crowd that finds nothing has no say.
    """
    count = len(results)
    table = np.zeros((count, count))
    for row in range(count):
        for column in range(row):
            table[row, column] = table[column, row] = kappa(results[row], results[column])
    own = np.asarray(trust, dtype=np.float64)
    alone = own.sum() - own <= 0
    shares = np.ones(count)
    for _ in range(_ROUNDS):
        weight = own * shares
        others = weight.sum() - weight
        agreed = np.divide(table @ weight, others, out=np.zeros(count), where=others > 0)
        shares = np.where(alone, 1.0, np.clip(agreed, 0, 1))
    return [float(share) for share in shares]
