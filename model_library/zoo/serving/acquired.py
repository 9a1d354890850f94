"""An acquired file as an array for a network; it stays in its file where it is large and plain."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from model_library.cards.card import NetworkCard
from model_library.errors import UnsupportedImage
from model_library.images.colour import luminance, without_alpha
from model_library.images.contents import read_recording
from model_library.images.data_bar import bar_rows, cropped
from model_library.images.directory import is_tiff
from model_library.images.intensity import PIXEL_DTYPES
from model_library.images.pixel_size import PixelSize
from model_library.images.readers import read_frame
from model_library.images.tiff_pages import read_head
from model_library.wire.tasks import Segment

_MAPPED_BYTES = 1 << 28
"""Smaller files are read at once: a writer that shortens a mapped file ends the process that reads it."""

Colour = Literal["rgb", "channels", "luminance"]
"""What a network wants of colour: red, green and blue at once, one after the other, or one plane."""


@dataclass(frozen=True, slots=True)
class Acquired:
    """An image, stack, series or colour image to be restored.

    Attributes
    ----------
    pixels
        Axes as `axes`; uint8, uint16 or float32, finite; may lie in its file.
    axes
        Such as "YX", "TZYX" or "YXS"; see `images.recording.AXES`.
    pixel_size
        As the file tells it.
    data_bar_rows
        Cropped off the bottom.
    colour
        What was made of colour; None where there was none.
    """

    pixels: NDArray[Any]
    axes: str
    pixel_size: PixelSize
    data_bar_rows: int = 0
    colour: Colour | None = None


def colour_for(card: NetworkCard) -> Colour:
    """Tell what a network makes of colour: one of grey restores each channel, but classes their luminance."""
    if card.config.channels == "rgb":
        return "rgb"
    return "luminance" if isinstance(card.task, Segment) else "channels"


def read_acquired(path: Path, colour: Colour) -> Acquired:
    """Read an image of any format; a large plain page stays in its file.

    Parameters
    ----------
    path
        As in `contents.read_contents`.
    colour
        What is wanted of colour. Alpha is none, and, but for networks of RGB, nor are equal channels.

    Raises
    ------
    ImageError
        As `contents.read_recording` does.
    """
    in_file = not path.is_dir() and path.stat().st_size >= _MAPPED_BYTES
    if colour != "rgb" and not path.is_dir() and is_tiff(read_head(path)):
        with suppress(UnsupportedImage):
            frame = read_frame(path, in_file=in_file)
            return Acquired(frame.pixels, "YX", PixelSize.square(frame.pixel_size_nm), frame.data_bar_rows)
    recording = read_recording(path, in_file=in_file)
    rows = bar_rows(recording)
    recording = cropped(recording, rows)
    if colour != "rgb":
        recording = recording.in_true_colour()
    pixels, axes = recording.pixels, recording.axes
    if pixels.dtype not in PIXEL_DTYPES:
        pixels = pixels.astype(np.float32)
    if not recording.is_colour:
        return Acquired(pixels, axes, recording.pixel_size, rows)
    if colour == "luminance":
        pixels, axes = luminance(pixels), axes.removesuffix("S")
    return Acquired(
        without_alpha(pixels) if axes.endswith("S") else pixels, axes, recording.pixel_size, rows, colour
    )
