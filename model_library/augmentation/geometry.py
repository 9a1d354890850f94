"""Operators that move pixels: image, masks, instances and boxes together."""

from typing import Literal

import torch
from pydantic import Field

from model_library.augmentation.batch import Batch
from model_library.augmentation.moving import (
    Move,
    cut,
    mirrored,
    moved,
    quarter_turned,
    resized,
    stay,
    turned_and_magnified,
)
from model_library.augmentation.ranges import Operator, PositiveRange, SignedRange, log_uniform, uniform
from model_library.errors import RecipeError
from model_library.wire.base import Message


class Crop(Message):
    """A window of `height_px` x `width_px`, anywhere in each image."""

    kind: Literal["crop"] = "crop"
    height_px: int = Field(ge=1)
    width_px: int = Field(ge=1)

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Cut a window out of each image.

        Raises
        ------
        RecipeError
            The images are smaller.
        """
        number, (height, width) = len(batch.images), batch.images.shape[2:]
        if height < self.height_px or width < self.width_px:
            raise RecipeError(
                f"expected images of at least {self.height_px} x {self.width_px} pixels to crop, found "
                f"{height} x {width}; crop smaller windows, or leave small images out"
            )
        tops = _below(height - self.height_px + 1, number, generator)
        lefts = _below(width - self.width_px + 1, number, generator)
        return moved(
            batch,
            [cut(top, left, self.height_px, self.width_px) for top, left in zip(tops, lefts, strict=True)],
        )


class Flip(Operator):
    """Mirror images along an axis."""

    kind: Literal["flip"] = "flip"
    axis: Literal["y", "x"]
    share: float = Field(default=0.5, ge=0, le=1)

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Mirror some images; pixels keep their values exactly."""
        axis = {"y": 1, "x": 2}[self.axis]
        return _some(self, batch, [mirrored(axis)] * len(batch.images), generator)


class QuarterTurn(Operator):
    """Turn square images by 0, 90, 180 or 270 degrees."""

    kind: Literal["quarter_turn"] = "quarter_turn"

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Turn each image; pixels keep their values exactly.

        Raises
        ------
        RecipeError
            The images are not square.
        """
        height, width = batch.images.shape[2:]
        if height != width:
            raise RecipeError(
                f"expected square images to turn by right angles, found {height} x {width}; crop "
                "squares first"
            )
        turns = _below(4, len(batch.images), generator)
        return _some(self, batch, [quarter_turned(each) for each in turns], generator)


class Rotate(Operator):
    """Turn images about their centre, clockwise on the screen, by any angle; the canvas keeps its size.

    Corners that come from outside the image get its mean grey value, `UNKNOWN_CLASS`, and no instances.
    """

    kind: Literal["rotate"] = "rotate"
    degrees: SignedRange = (-180.0, 180.0)

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Turn each image by its own angle."""
        angles = uniform(self.degrees, len(batch.images), generator).tolist()
        return _some(self, batch, [turned_and_magnified(each, 1.0) for each in angles], generator)


class Zoom(Operator):
    """Magnify images about their centre; the canvas keeps its size, its border as in `Rotate`."""

    kind: Literal["zoom"] = "zoom"
    factor: PositiveRange = (0.8, 1.25)

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Magnify each image by its own factor."""
        factors = log_uniform(self.factor, len(batch.images), generator).tolist()
        return _some(self, batch, [turned_and_magnified(0.0, each) for each in factors], generator)


class Resize(Message):
    """Bring all images to `height_px` x `width_px`."""

    kind: Literal["resize"] = "resize"
    height_px: int = Field(ge=1)
    width_px: int = Field(ge=1)

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Resize each image; nothing is drawn from `generator`."""
        del generator
        return moved(batch, [resized(self.height_px, self.width_px)] * len(batch.images))


def _some(operator: Operator, batch: Batch, moves: list[Move], generator: torch.Generator) -> Batch:
    struck = operator.struck(len(moves), generator).tolist()
    return moved(batch, [move if hit else stay for move, hit in zip(moves, struck, strict=True)])


def _below(end: int, number: int, generator: torch.Generator) -> list[int]:
    drawn: list[int] = torch.randint(end, (number,), generator=generator, device=generator.device).tolist()
    return drawn
