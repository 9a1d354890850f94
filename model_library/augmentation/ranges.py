"""Ranges from which each image of a batch gets its own value."""

import math
from typing import Annotated

import torch
from pydantic import AfterValidator, Field
from torch import Tensor

from model_library.wire.base import Message


def _in_order(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] > bounds[1]:
        raise ValueError(f"expected the low end first, found {bounds}; swap them")
    return bounds


_NotNegative = Annotated[float, Field(ge=0)]
_Positive = Annotated[float, Field(gt=0)]

Share = Annotated[float, Field(ge=0, le=1)]
SignedRange = Annotated[tuple[float, float], AfterValidator(_in_order)]
"""Low and high end of what is drawn uniformly."""
Range = Annotated[tuple[_NotNegative, _NotNegative], AfterValidator(_in_order)]
"""Low and high end, not negative, of what is drawn uniformly."""
PositiveRange = Annotated[tuple[_Positive, _Positive], AfterValidator(_in_order)]
"""Low and high end of what is drawn log-uniformly: factors and doses."""


class Operator(Message):
    """What every operator has in common.

    Attributes
    ----------
    share
        Of the images of a batch, how many are changed on average; the others pass as they are.
    """

    share: Share = 1.0

    def struck(self, number: int, generator: torch.Generator) -> Tensor:
        """Draw which of so many images are changed: bool [N]."""
        return torch.rand(number, generator=generator, device=generator.device) < self.share


def uniform(bounds: tuple[float, float], number: int, generator: torch.Generator) -> Tensor:
    """Draw one value per image, float32 [N]."""
    low, high = bounds
    return low + (high - low) * torch.rand(number, generator=generator, device=generator.device)


def log_uniform(bounds: PositiveRange, number: int, generator: torch.Generator) -> Tensor:
    """Draw one positive value per image, its logarithm uniformly: float32 [N]."""
    low, high = bounds
    return uniform((math.log(low), math.log(high)), number, generator).exp()
