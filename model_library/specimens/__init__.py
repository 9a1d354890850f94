"""Simulated specimens with known truth: tissue, alloys, powders, crystals, ice, and the defects of foils."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from model_library.specimens import (
    atoms,
    cavities,
    cells,
    cracks,
    cryo_em,
    dislocations,
    particles,
    precipitates,
)
from model_library.specimens.specimen import Instances, Mask, Specimen, SpecimenKind, fitted

__all__ = ["Instances", "Mask", "Specimen", "SpecimenKind", "fitted", "render"]

_RENDERERS: Mapping[SpecimenKind, Callable[[tuple[int, int], np.random.Generator], Specimen]] = (
    MappingProxyType(
        {
            SpecimenKind.CELLS: cells.render,
            SpecimenKind.PRECIPITATES: precipitates.render,
            SpecimenKind.PARTICLES: particles.render,
            SpecimenKind.ATOMS: atoms.render,
            SpecimenKind.CRYO_EM: cryo_em.render,
            SpecimenKind.DISLOCATIONS: dislocations.render,
            SpecimenKind.CAVITIES: cavities.render,
            SpecimenKind.CRACKS: cracks.render,
        }
    )
)


def render(kind: SpecimenKind, shape: tuple[int, int], rng: np.random.Generator) -> Specimen:
    """Draw a new specimen of a kind.

    Parameters
    ----------
    kind
        What is on the stage.
    shape
        Pixels along [Y, X]. Structures have sizes in pixels, whatever the shape.
    rng
        Source of all randomness: the same generator state gives the same specimen.

    Returns
    -------
    Specimen
        Intensity float32 [Y, X] in [0, 1] and a mask per structure.
    """
    return _RENDERERS[SpecimenKind(kind)](shape, rng)
