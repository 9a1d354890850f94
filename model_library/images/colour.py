"""Colour samples along the last axis: what is really grey, and the luminance of what is not."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from model_library.images.mapping import release

ColourPolicy = Literal["refuse", "luminance", "channels"]
"""What becomes of a colour image where grey planes are wanted: refused; one plane, its luminance; three."""

_TINT = 8
_LUMINANCE = np.array((0.299, 0.587, 0.114), np.float32)
"""Weights of red, green and blue (ITU-R BT.601), as in JPEG, and in most programs' "convert to grey"."""
_AT_ONCE, _ROWS_AT_ONCE = 1 << 20, 512


def without_alpha(pixels: NDArray[Any]) -> NDArray[Any]:
    """Drop what is no colour: [..., S] of 1 to 4 samples -> [..., 1] where it is grey, else [..., 3]."""
    return pixels[..., : 1 if pixels.shape[-1] == 2 else 3]


def true_grey(pixels: NDArray[Any], *, lossy: bool) -> NDArray[Any] | None:
    """Take equal colour channels as the one that they are.

    Parameters
    ----------
    pixels
        Axes [..., Y, X, S]; 2 and 4 samples are grey and RGB with alpha, which is dropped.
    lossy
        Whether it was JPEG, which gives grey a faint tint: then the luminance is taken where samples of
        8 bit differ by no more than that.

    Returns
    -------
    [..., Y, X], of the same dtype; None where the channels differ.
    """
    colours = without_alpha(pixels)
    if _equal(colours):
        return np.ascontiguousarray(colours[..., 0])
    if lossy and pixels.dtype == np.uint8 and int(np.ptp(colours, axis=-1).max()) <= _TINT:
        return luminance(colours)
    return None


def _equal(colours: NDArray[Any]) -> bool:
    """Whether the channels [..., Y, X, S] are equal; in memory of a few rows where they lie in a file."""
    rows = colours.reshape(-1, *colours.shape[-2:])
    for begin in range(0, len(rows), _ROWS_AT_ONCE):
        part = rows[begin : begin + _ROWS_AT_ONCE]
        if any(not np.array_equal(part[..., 0], part[..., index]) for index in range(1, part.shape[-1])):
            return False
        release(part)
    return True


def luminance(colours: NDArray[Any]) -> NDArray[Any]:
    """Weigh red, green and blue as the eye does, of the values as they are stored.

    Parameters
    ----------
    colours
        Axes [..., 3]; uint8, uint16 or float32.

    Returns
    -------
    [...], of the same dtype, integers rounded.
    """
    found = np.empty(colours.shape[:-1], colours.dtype)
    flat, target = colours.reshape(-1, 3), found.reshape(-1)
    for begin in range(0, len(flat), _AT_ONCE):
        part = flat[begin : begin + _AT_ONCE].astype(np.float32) @ _LUMINANCE
        target[begin : begin + _AT_ONCE] = np.rint(part) if found.dtype.kind in "iu" else part
    return found
