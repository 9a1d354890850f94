"""Recipes: an acquisition as a sequence of operators, written down and seeded."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Self

import numpy as np
from pydantic import Field, model_validator

from model_library.degradation.operators import (
    Digitise,
    Downsample,
    GaussianBlur,
    LocalVarianceNoise,
    Operator,
    ReadNoise,
    SaltPepper,
    ScanLineJitter,
    ShotNoise,
)
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
        scales = [operator.scale for operator in self.operators if isinstance(operator, Downsample)]
        return int(np.prod(scales, dtype=np.int64))

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
        """
        pixels = intensity.astype(np.float32, copy=False)
        for operator in self.operators:
            pixels = operator.apply(pixels, rng)
        return pixels


_8_BITS = Digitise(bits=8, gain=170, offset=25)
_16_BITS = Digitise(bits=16, gain=30000, offset=4000)

RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        "low_dose": Recipe(operators=(ShotNoise(electrons_per_pixel=30), ReadNoise(sigma=0.02), _8_BITS)),
        "very_low_dose": Recipe(
            operators=(ShotNoise(electrons_per_pixel=8), ReadNoise(sigma=0.03), _16_BITS)
        ),
        "read_noise": Recipe(operators=(ShotNoise(electrons_per_pixel=400), ReadNoise(sigma=0.10), _8_BITS)),
        "fast_scan": Recipe(
            operators=(
                ScanLineJitter(sigma_px=0.4),
                ShotNoise(electrons_per_pixel=40),
                ReadNoise(sigma=0.04),
                _16_BITS,
            )
        ),
        "defocus": Recipe(
            operators=(
                GaussianBlur(sigma_px=1.2),
                ShotNoise(electrons_per_pixel=100),
                ReadNoise(sigma=0.03),
                _16_BITS,
            )
        ),
        "coarse_x2": Recipe(
            operators=(
                Downsample(scale=2),
                ShotNoise(electrons_per_pixel=120),
                ReadNoise(sigma=0.02),
                _8_BITS,
            )
        ),
        "coarse_x4": Recipe(
            operators=(
                Downsample(scale=4),
                ShotNoise(electrons_per_pixel=400),
                ReadNoise(sigma=0.01),
                _8_BITS,
            )
        ),
        "pssr_v1_em": Recipe(
            operators=(LocalVarianceNoise(share=0.05, sigma_px=3), Downsample(scale=4), Digitise()),
        ),
        "pssr_v1_fluorescence": Recipe(
            operators=(
                SaltPepper(salt=0.005, pepper=0.005),
                LocalVarianceNoise(share=0.5, sigma_px=5),
                Downsample(scale=4),
                Digitise(),
            )
        ),
        "pssr2": Recipe(
            operators=(
                Downsample(scale=4),
                ShotNoise(electrons_per_pixel=255),
                ReadNoise(sigma=13 / 255),
                Digitise(),
            )
        ),
    }
)
"""Named recipes. Those of our own leave the detector headroom: noise is hardly ever clipped.

`pssr_v1_*` follow Fang et al., Nat. Methods 2021, and `pssr2` the Poisson and Gaussian parts of PSSR2 at
their defaults. Both zoom with linear interpolation, which samples; here each coarse pixel collects its area.
"""


def recipe(name: str) -> Recipe:
    """Return a named recipe.

    Raises
    ------
    RecipeError
        No recipe has this name.
    """
    try:
        return RECIPES[name]
    except KeyError:
        raise RecipeError(
            f"expected a recipe among {', '.join(RECIPES)}, found {name!r}; use one of these"
        ) from None
