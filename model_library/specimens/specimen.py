"""What a simulated specimen is: an image whose truth is known."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from model_library.images.frame import Grey

Mask = NDArray[np.bool_]
"""Which pixels belong to a structure, axes [Y, X]."""

Instances = NDArray[np.int32]
"""Which object each pixel belongs to, axes [L, Y, X]: numbers from 1, none left out; 0 is no object.

Every object lies whole on one of the L layers, so that objects which overlap in projection stay apart.
"""


class SpecimenKind(StrEnum):
    """What is on the stage."""

    CELLS = "cells"
    PRECIPITATES = "precipitates"
    PARTICLES = "particles"
    ATOMS = "atoms"
    CRYO_EM = "cryo_em"
    DISLOCATIONS = "dislocations"
    CAVITIES = "cavities"
    CRACKS = "cracks"


@dataclass(frozen=True, slots=True)
class Specimen:
    """A noise-free micrograph and where its structures are.

    Attributes
    ----------
    intensity
        Axes [Y, X]; float32 in [0, 1]; what an ideal detector would collect.
    labels
        One mask [Y, X] per structure that a network may be asked to find.
    instances
        The objects [L, Y, X] of those structures that consist of objects; all layers together cover
        exactly the structure's mask.
    """

    intensity: Grey
    labels: dict[str, Mask]
    instances: dict[str, Instances] = field(default_factory=dict)


def stacked(masks: Sequence[Mask], shape: tuple[int, int]) -> Instances:
    """Give numbers to objects from their masks [Y, X], each whole on the first layer where it has room.

    Empty masks get no number; there is always one layer.
    """
    layers = [np.zeros(shape, dtype=np.int32)]
    number = 0
    for mask in masks:
        if not mask.any():
            continue
        number += 1
        free = next((layer for layer in layers if not layer[mask].any()), None)
        if free is None:
            free = np.zeros(shape, dtype=np.int32)
            layers.append(free)
        free[mask] = number
    return np.stack(layers)


def renumbered(painted: NDArray[np.int32]) -> Instances:
    """Close the gaps in the numbers of a label image [Y, X], or of layers [L, Y, X] -> [L, Y, X]."""
    numbers, places = np.unique(painted, return_inverse=True)
    start = 0 if numbers.size and numbers[0] == 0 else 1
    closed: Instances = (places.reshape(painted.shape) + start).astype(np.int32)
    return closed[None] if closed.ndim == 2 else closed


def fitted(instances: NDArray[np.int32], mask: Mask) -> Instances:
    """Make objects [L, Y, X] cover exactly a mask [Y, X] that nearly is theirs (after a resize, say).

    What they lack goes to the nearest object, what they have too much is erased.
    """
    layers = np.where(mask, instances, 0)
    covered: Mask = np.asarray(layers.any(axis=0))
    if covered.any():
        missing = mask & ~covered
        rows, columns = ndimage.distance_transform_edt(~covered, return_distances=False, return_indices=True)
        layers[:, missing] = layers[:, rows[missing], columns[missing]]
    return renumbered(layers.astype(np.int32))
