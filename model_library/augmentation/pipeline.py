"""Augmentation as a typed sequence of operators, all its chance from the generator that is passed in."""

from typing import Annotated

import numpy as np
import torch
from pydantic import Field

from model_library.augmentation.batch import Batch
from model_library.augmentation.geometry import Crop, Flip, QuarterTurn, Resize, Rotate, Zoom
from model_library.augmentation.grey_values import (
    BackgroundNoise,
    Blur,
    Contrast,
    GaussianNoise,
    Jitter,
    PoissonNoise,
    SaltPepper,
)
from model_library.errors import RecipeError
from model_library.wire.base import Message

AnyOperator = Annotated[
    Crop
    | Flip
    | QuarterTurn
    | Rotate
    | Zoom
    | Resize
    | GaussianNoise
    | BackgroundNoise
    | PoissonNoise
    | Contrast
    | Jitter
    | Blur
    | SaltPepper,
    Field(discriminator="kind"),
]
"""One operator, told apart by its `kind`."""


class Augmentation(Message):
    """Operators in the order in which they change a batch."""

    operators: tuple[AnyOperator, ...] = Field(min_length=1)

    def apply(self, batch: Batch, rng: np.random.Generator | torch.Generator) -> Batch:
        """Augment a batch; image, masks, instances and boxes stay together.

        Parameters
        ----------
        batch
            Images with what is known about them.
        rng
            Source of all randomness: the same state gives the same batch, bit for bit on one kind of device.
            A generator of torch's must be on the images' device; one of numpy's gives one number.

        Raises
        ------
        RecipeError
            Pixels are not finite, or an operator does not fit the images.
        """
        finite = batch.images.flatten(1).isfinite().all(dim=1)
        if not finite.all():
            wrong = int(finite.to(torch.uint8).argmin())
            raise RecipeError(
                f"expected finite grey values to augment, found NaN or infinity in image {wrong} of the "
                "batch; leave the image out"
            )
        if isinstance(rng, torch.Generator):
            generator = rng
        else:
            generator = torch.Generator(batch.images.device).manual_seed(int(rng.integers(2**63)))
        for operator in self.operators:
            batch = operator.apply(batch, generator)
        return batch
