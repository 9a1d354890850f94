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


def objects_of(classes: NDArray[Any], apart_px: float = 0.0) -> NDArray[np.int32]:
    """Give numbers to the objects of classes [Y, X]: each core, and the pixels that are nearest to it.

    Parameters
    ----------
    classes
        0 outside, 1 core, 2 rim. Rims without any core are no objects.
    apart_px
        A core is parted where it is narrower than twice this: there a rim was missed in part.
    """
    from skimage.segmentation import watershed

    core = np.asarray(classes == CORE)
    depth = np.asarray(ndimage.distance_transform_edt(core))
    seeds, count = _numbered(depth > apart_px)
    whole, _ = _numbered(core)
    # A core that is narrow throughout is an object of its own, not a bridge between two.
    kept = np.zeros(int(whole.max()) + 1, dtype=bool)
    kept[whole[seeds > 0]] = True
    slight, _ = _numbered(core & ~kept[whole])
    seeds = np.where(slight > 0, slight + count, seeds)
    if not seeds.any():
        return seeds
    cores = np.asarray(watershed(-depth, seeds, mask=core))  # type: ignore[no-untyped-call]
    rows, columns = ndimage.distance_transform_edt(cores == 0, return_distances=False, return_indices=True)
    return np.where(classes > 0, cores[rows, columns], 0).astype(np.int32)


def _numbered(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int32], int]:
    found: tuple[Any, int] = ndimage.label(mask)
    return np.asarray(found[0], dtype=np.int32), found[1]
