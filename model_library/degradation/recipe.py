"""Recipes: an acquisition as a sequence of operators, written down and seeded."""

from typing import Self

import numpy as np
from pydantic import Field, model_validator

from model_library.degradation.operators import Defocus, Digitise, Downsample, Drift, Operator, Zoom
from model_library.errors import RecipeError
from model_library.images.frame import Grey
from model_library.wire.base import Message


class Recipe(Message):
    """Operators in the order in which an acquisition applies them.

    Attributes
    ----------
    operators
        `Digitise`, if present, is the last.
    """

    operators: tuple[Operator, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _digitises_last(self) -> Self:
        if any(isinstance(operator, Digitise) for operator in self.operators[:-1]):
            raise RecipeError(
                "expected `digitise` as the last operator, found it earlier; move it to the end, because the "
                "other operators work on unit intensity"
            )
        return self

    @property
    def scale(self) -> int:
        """Pixels of the ideal image per pixel of the acquired one, along each axis."""
        scales = [operator.scale for operator in self.operators if isinstance(operator, Downsample | Zoom)]
        return int(np.prod(scales, dtype=np.int64))

    def at_pixel_size(self, pixel_size_nm: float) -> "Recipe":
        """Turn lengths on the specimen into pixels.

        Parameters
        ----------
        pixel_size_nm
            Side of a pixel of the ideal image, in nanometres. Behind an operator that samples coarser,
            pixels are larger in proportion.

        Raises
        ------
        RecipeError
            The pixel size is not positive.
        """
        if not pixel_size_nm > 0:
            raise RecipeError(f"expected a pixel size above 0 nm, found {pixel_size_nm}; correct it")
        side = pixel_size_nm
        operators: list[Operator] = []
        for operator in self.operators:
            if isinstance(operator, Downsample | Zoom):
                side *= operator.scale
            if isinstance(operator, Defocus | Drift):
                operators.append(operator.at_pixel_size(side))
            else:
                operators.append(operator)
        return Recipe(operators=tuple(operators))

    def then(self, other: "Recipe") -> "Recipe":
        """Put another recipe behind this one; the two applied in turn give the same image.

        Raises
        ------
        RecipeError
            This recipe ends in counts.
        """
        return Recipe(operators=(*self.operators, *other.operators))

    def apply(self, intensity: Grey, rng: np.random.Generator) -> Grey:
        """Acquire an image of an ideal specimen.

        Parameters
        ----------
        intensity
            float32 [Y, X] in [0, 1].
        rng
            Source of all randomness: the same generator state gives the same image, bit for bit.

        Returns
        -------
        Grey
            float32 [Y // scale, X // scale]: counts if the recipe digitises, otherwise unit intensity.

        Raises
        ------
        RecipeError
            The image is smaller than one coarse pixel, or a length in nanometres was not turned into pixels.
        """
        pixels = intensity.astype(np.float32, copy=False)
        for operator in self.operators:
            pixels = operator.apply(pixels, rng)
        return pixels
