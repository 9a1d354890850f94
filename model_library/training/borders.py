"""Weights that make a network learn the gaps between touching objects."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from model_library.wire.tasks import UNKNOWN_CLASS

BORDER_WEIGHT, BORDER_SIGMA_PX = 10.0, 5.0
_REACH_SIGMAS = 4
"""An object further away than this adds less than `10 * exp(-4**2 / 2)` = 0.004."""


def border_weights(
    classes: NDArray[np.uint8],
    instances: NDArray[np.int32],
    *,
    weight: float = BORDER_WEIGHT,
    sigma_px: float = BORDER_SIGMA_PX,
) -> NDArray[np.float32]:
    """Weigh the pixels of an image as U-Net does (Ronneberger et al. 2015, equation 2).

    `w(x) = w_c(x) + w_0 * exp(-(d_1(x) + d_2(x))**2 / (2 sigma**2))`, with d_1 and d_2 the distances
    to the nearest and the second nearest object.

    Parameters
    ----------
    classes
        uint8 [Y, X], class indices; `UNKNOWN_CLASS` where nobody labelled.
    instances
        int32 [Y, X], a number per object, 0 between them. For classes without numbers, those of
        their connected components (`components`).
    weight
        w_0.
    sigma_px
        Sigma, in pixels.

    Returns
    -------
    float32 [Y, X]. w_c balances the classes that occur: its sum is the same for each, its mean 1.
    The second term is added outside of objects alone. Unknown pixels weigh 0.
    """
    reach = math.ceil(_REACH_SIGMAS * sigma_px)
    nearest, second = _two_nearest(instances, reach)
    border = weight * np.exp(-((nearest + second) ** 2) / (2 * sigma_px**2))
    weights = _balance(classes) + np.where(instances == 0, border, 0)
    found: NDArray[np.float32] = np.where(classes == UNKNOWN_CLASS, 0, weights).astype(np.float32)
    return found


def components(classes: NDArray[np.uint8], of: int) -> NDArray[np.int32]:
    """Give numbers from 1 to the connected regions (4-neighbours) of a class; int32 [Y, X], 0 elsewhere."""
    numbered, _ = ndimage.label(classes == of)
    found: NDArray[np.int32] = np.asarray(numbered, dtype=np.int32)
    return found


def _balance(classes: NDArray[np.uint8]) -> NDArray[np.float64]:
    counts = np.bincount(classes[classes != UNKNOWN_CLASS], minlength=UNKNOWN_CLASS + 1)
    present = counts > 0
    share = np.zeros(UNKNOWN_CLASS + 1)
    share[present] = counts.sum() / (present.sum() * counts[present])
    balanced: NDArray[np.float64] = share[classes]
    return balanced


def _two_nearest(instances: NDArray[np.int32], reach: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distances in pixels to the nearest two objects, infinite beyond `reach`; each [Y, X]."""
    nearest = np.full(instances.shape, np.inf)
    second = nearest.copy()
    places = ndimage.find_objects(instances)
    for number in np.unique(instances[instances > 0]):
        place = places[number - 1]
        window = tuple(
            slice(max(0, axis.start - reach), min(length, axis.stop + reach))
            for axis, length in zip(place, instances.shape, strict=True)
        )
        distance = ndimage.distance_transform_edt(instances[window] != number)
        distance = np.where(distance <= reach, distance, np.inf)
        second[window] = np.minimum(second[window], np.maximum(nearest[window], distance))
        nearest[window] = np.minimum(nearest[window], distance)
    return nearest, second
