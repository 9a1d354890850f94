"""What a simulated specimen is: an image whose truth is known."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from model_library.images.frame import Grey

Mask = NDArray[np.bool_]
"""Which pixels belong to a structure, axes [Y, X]."""


class SpecimenKind(StrEnum):
    """What is on the stage."""

    CELLS = "cells"
    PRECIPITATES = "precipitates"
    PARTICLES = "particles"
    ATOMS = "atoms"
    CRYO_EM = "cryo_em"


@dataclass(frozen=True, slots=True)
class Specimen:
    """A noise-free micrograph and where its structures are.

    Attributes
    ----------
    intensity
        Axes [Y, X]; float32 in [0, 1]; what an ideal detector would collect.
    labels
        One mask [Y, X] per structure that a network may be asked to find.
    """

    intensity: Grey
    labels: dict[str, Mask]
