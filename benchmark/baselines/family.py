"""A classical algorithm with free parameters, and one with its parameters chosen."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from model_library.images.frame import Grey
from model_library.images.intensity import Scaling, refuse_non_finite
from model_library.wire.methods import ClassicalRef

Restore = Callable[[Grey, Mapping[str, float], int], Grey]
"""(pixels in unit scale, parameters, scale) -> restored pixels in unit scale, or labels."""


@dataclass(frozen=True)
class Family:
    """A classical algorithm.

    Attributes
    ----------
    id
        Name in references and reports.
    restore
        Works on the unit scale of the whole image (`Scaling`), so gain and offset of the detector
        play no part.
    grid
        Values that each parameter may take, ascending. Strengths are in units of the image's own
        noise (`noise_level`), lengths in input pixels, so that they carry over between images.
    start
        Where tuning starts, and what an untuned method uses; a point of the grid.
    labels
        Whether the result is class numbers instead of grey values.
    """

    id: str
    restore: Restore
    grid: Mapping[str, tuple[float, ...]]
    start: Mapping[str, float]
    labels: bool = False


@dataclass(frozen=True)
class ClassicalMethod:
    """A classical algorithm with its parameters: a `Method`."""

    family: Family
    parameters: Mapping[str, float]
    scale: int = 1

    @property
    def ref(self) -> ClassicalRef:
        """What goes into provenance and releases; `classical` turns it back into this method."""
        return ClassicalRef(id=self.family.id, parameters=dict(self.parameters))

    def __call__(self, pixels: Grey) -> Grey:
        """Restore one image: float32 [Y, X] in counts -> float32 [Y * scale, X * scale] in counts.

        Raises
        ------
        NonFinitePixels
            The input holds NaN or infinite values.
        """
        refuse_non_finite(pixels, f"input of {self.family.id}")
        scaling = Scaling.of(pixels)
        restored = self.family.restore(scaling.apply(pixels), self.parameters, self.scale)
        if self.family.labels:
            return restored.astype(np.float32)
        return scaling.invert(restored.astype(np.float32, copy=False))
