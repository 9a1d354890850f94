"""What a file of any format recorded: arrays with named axes, as stored."""

import dataclasses
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_library.errors import UnsupportedImage
from model_library.images.colour import ColourPolicy, luminance, true_grey, without_alpha
from model_library.images.frame import Frame
from model_library.images.intensity import PIXEL_DTYPES, refuse_non_finite
from model_library.images.pixel_size import UNKNOWN_SIZE, PixelSize

AXES = {
    "T": "time",
    "I": "index of a plane whose meaning the file does not tell",
    "C": "channel",
    "Z": "depth",
    "Y": "row",
    "X": "column",
    "S": "colour sample",
}
"""Letters of axes, in the order in which they occur."""


@dataclasses.dataclass(frozen=True, slots=True)
class Recording:
    """One array of a file.

    Attributes
    ----------
    pixels
        Axes as `axes` says; integers or real numbers, all finite, native byte order, in C order; the
        values as stored, bit for bit, save that white-is-zero TIFFs are inverted.
    axes
        One letter of `AXES` per axis, such as "YX", "ZYX", "TCZYX" or "YXS".
    pixel_size
        Along y, x and z; need not be square.
    name
        What the file calls it; None where it does not.
    field
        Field of view (the stage label); None where the file does not say.
    lossy
        Whether the compression changed the values (JPEG): no truth for denoising.
    image_rows
        Rows above the data bar, where the instrument tells them; None where it does not.
    metadata
        Further facts of the acquisition as the file names them.
    """

    pixels: NDArray[Any]
    axes: str
    pixel_size: PixelSize = UNKNOWN_SIZE
    name: str | None = None
    field: str | None = None
    lossy: bool = False
    image_rows: int | None = None
    metadata: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, int]:
        """[Y, X] in pixels."""
        return self.pixels.shape[self.axes.index("Y")], self.pixels.shape[self.axes.index("X")]

    @property
    def is_colour(self) -> bool:
        """Whether its last axis is that of colour samples."""
        return self.axes.endswith("S")

    @property
    def planes(self) -> int:
        """How many planes it has, a colour image counted as one."""
        return prod(self.pixels.shape[: self.axes.index("Y")])

    def in_true_colour(self) -> "Recording":
        """Take equal colour channels as the one that they are, and drop alpha, whatever it holds."""
        if not self.is_colour:
            return self
        grey = true_grey(self.pixels, lossy=self.lossy)
        if grey is None:
            return dataclasses.replace(self, pixels=without_alpha(self.pixels))
        return dataclasses.replace(self, pixels=grey, axes=self.axes.removesuffix("S"))

    def middle(self) -> "Recording":
        """Give the middle one of its planes."""
        leading = self.axes.index("Y")
        planes = self.pixels.reshape(self.planes, *self.pixels.shape[leading:])
        return dataclasses.replace(self, pixels=planes[self.planes // 2], axes=self.axes[leading:])

    def frames(self, called: str | None = None, colour: ColourPolicy = "refuse") -> tuple[Frame, ...]:
        """Give each plane as a grey frame, the last of the other axes running fastest.

        uint8, uint16 and float32 stay as they are; narrower and signed integers fit float32 exactly, wider
        values are rounded to its 24 bits.

        Parameters
        ----------
        called
            What messages call it; None for its own name.
        colour
            What becomes of colour channels that differ; where they become frames, red, green and blue run
            fastest.

        Raises
        ------
        UnsupportedImage
            It is in colour, which is to be refused, or pixels are not square.
        """
        name = called or self.name or "image"
        if self.pixel_size.is_known and not self.pixel_size.is_square:
            raise UnsupportedImage(
                f"{name}: expected square pixels, found {self.pixel_size}; export it with square pixels"
            )
        true = self.in_true_colour()
        pixels = true.pixels
        if pixels.dtype not in PIXEL_DTYPES:
            pixels = pixels.astype(np.float32)
        if true.is_colour:
            if colour == "refuse":
                raise UnsupportedImage(
                    f"{name}: expected grey, found colour channels that differ; export it as grey"
                )
            pixels = luminance(pixels) if colour == "luminance" else np.moveaxis(pixels, -1, -3)
        planes = pixels.reshape(prod(pixels.shape[:-2]), *pixels.shape[-2:])
        refuse_non_finite(planes, name)
        side = self.pixel_size.side_nm
        return tuple(Frame(plane, side, self.field, dict(self.metadata)) for plane in planes)


@dataclasses.dataclass(frozen=True, slots=True)
class Contents:
    """All that a file holds.

    Attributes
    ----------
    format
        Such as "TIFF", "OME-TIFF", "MRC".
    recordings
        At least one.
    left_out
        What else the file holds and why it is not given: a pyramid's smaller copies, a spectrum.
    """

    format: str
    recordings: tuple[Recording, ...]
    left_out: tuple[str, ...] = ()


def checked(recording: Recording, name: str) -> Recording:
    """Make sure that a reader keeps the promises of `Recording`.

    Raises
    ------
    UnsupportedImage
        Axes that repeat, are unknown or do not fit the shape; complex values; no pixels.
    NonFinitePixels
        NaN or infinity.
    """
    pixels, axes = recording.pixels, recording.axes
    order = [list(AXES).index(axis) for axis in axes if axis in AXES]
    fits = len(axes) == pixels.ndim and order == sorted(set(order)) and len(order) == len(axes)
    if not fits or not {"Y", "X"} <= set(axes) or not pixels.size:
        raise UnsupportedImage(
            f"{name}: expected axes out of {''.join(AXES)} and pixels, found axes {axes!r} of shape "
            f"{pixels.shape}; export planes or stacks of planes"
        )
    if pixels.dtype.kind not in "iuf":
        raise UnsupportedImage(
            f"{name}: expected integers or real numbers, found {pixels.dtype}; export the modulus or an image"
        )
    pixels = np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder("="))
    refuse_non_finite(pixels, name)
    return dataclasses.replace(recording, pixels=pixels)
