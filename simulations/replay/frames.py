"""The frames of a replay: what each holds, and how its microscope writes it."""

from enum import StrEnum
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from model_library.images.frame import Frame
from model_library.images.writers import encode_acquisition
from model_library.wire.base import Message

_CONTENT_WORD, _MANNER_WORD = 71, 72
_SLOW_SHARE, _RENAMED_SHARE = 0.3, 0.2
_MEAN_COUNT = 400
_NUMBER_DIGITS = 4
"""Pixels that hold a frame's number, 16 bits each: no two frames are equal."""


class Manner(StrEnum):
    """How a microscope's software writes a file."""

    WHOLE = "whole"
    """Opened, written, closed."""
    SLOW = "slow"
    """In pieces, between which it writes other files."""
    RENAMED = "renamed"
    """Under a hidden name, then renamed into place."""


class Written(Message):
    """A frame that its writer is done with.

    Attributes
    ----------
    closed_at
        When the file was closed, or renamed into place; seconds since 1970.
    write_ms
        What its writer spent in opening, writing, closing and renaming.
    """

    number: int = Field(ge=0)
    name: str
    sha256: str
    manner: Manner
    closed_at: float
    write_ms: float = Field(ge=0)


def manner_of(number: int, seed: int) -> Manner:
    """Tell how a frame is written: 30 % slowly, 20 % renamed into place, by chance from the seed."""
    chance = np.random.default_rng([_MANNER_WORD, seed, number]).random()
    if chance < _SLOW_SHARE:
        return Manner.SLOW
    return Manner.RENAMED if chance < _SLOW_SHARE + _RENAMED_SHARE else Manner.WHOLE


def frame_bytes(number: int, side_px: int, seed: int) -> bytes:
    """Make a frame as an instrument writes it: uint16 [side_px, side_px], shot noise, different for each."""
    pixels = np.roll(_noise(side_px, seed), 7919 * number)
    digits = [(number >> 16 * digit) & 0xFFFF for digit in range(_NUMBER_DIGITS)]
    pixels[0, :_NUMBER_DIGITS] = digits
    return encode_acquisition(Frame(pixels, pixel_size_nm=4.0, field=f"field-{number:06d}"))


@lru_cache(maxsize=2)
def _noise(side_px: int, seed: int) -> NDArray[np.uint16]:
    rng = np.random.default_rng([_CONTENT_WORD, seed])
    ramp = np.linspace(0.5, 1.5, side_px)
    return rng.poisson(_MEAN_COUNT * np.outer(ramp, ramp)).astype(np.uint16)
