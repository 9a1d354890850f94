"""Objects that touch, as classes of pixels: a core, and a rim at which they come apart."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

CORE, RIM = 1, 2


def bordered(objects: NDArray[np.int32], border_px: int) -> NDArray[np.uint8]:
    """Turn numbered objects [Y, X] (0 = none) into classes [Y, X]: 0 outside, 1 core, 2 rim.

    Parameters
    ----------
    objects
        Numbers of objects.
    border_px
        Width of the rim, inside the object. Of an object too small for a core, the deepest pixels are
        its core.
    """
    padded = np.pad(objects, 1, mode="edge")
    edge = np.zeros(objects.shape, dtype=bool)
    for dy, dx in ((0, 1), (2, 1), (1, 0), (1, 2)):
        edge |= padded[dy : dy + objects.shape[0], dx : dx + objects.shape[1]] != objects
    inside = objects > 0
    depth = np.asarray(ndimage.distance_transform_edt(~(edge & inside)))
    deepest = np.asarray(ndimage.maximum(depth, objects, np.arange(int(objects.max()) + 1)))
    core = inside & ((depth >= border_px) | (depth == deepest[objects]))
    return np.where(core, CORE, np.where(inside, RIM, 0)).astype(np.uint8)


def objects_of(classes: NDArray[Any]) -> NDArray[np.int32]:
    """Give numbers to the objects of classes [Y, X]: each core, and the rim pixels that are nearest to it.

    Rims without any core are no objects.
    """
    found: tuple[Any, int] = ndimage.label(classes == CORE)
    cores = np.asarray(found[0], dtype=np.int32)
    if not found[1]:
        return cores
    rows, columns = ndimage.distance_transform_edt(cores == 0, return_distances=False, return_indices=True)
    return np.where(classes > 0, cores[rows, columns], 0).astype(np.int32)
