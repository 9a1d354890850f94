"""What a file of any format recorded: arrays with named axes, as stored."""

import dataclasses
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_library.errors import UnsupportedImage
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

    def frames(self) -> tuple[Frame, ...]:
        """Give each plane as a grey frame, the last of the other axes running fastest.

        uint8, uint16 and float32 stay as they are; narrower and signed integers fit float32 exactly,
        wider values are rounded to its 24 bits.

        Raises
        ------
        UnsupportedImage
            Colour samples differ, or pixels are not square.
        """
        if self.pixel_size.is_known and not self.pixel_size.is_square:
            raise UnsupportedImage(
                f"{self.name or 'image'}: expected square pixels, found {self.pixel_size}; resample it first"
            )
        pixels = self._one_sample()
        if pixels.dtype not in PIXEL_DTYPES:
            pixels = pixels.astype(np.float32)
        planes = pixels.reshape(prod(pixels.shape[:-2]), *pixels.shape[-2:])
        refuse_non_finite(planes, self.name or "image")
        side = self.pixel_size.side_nm
        return tuple(Frame(plane, side, self.field, dict(self.metadata)) for plane in planes)

    def _one_sample(self) -> NDArray[Any]:
        if not self.axes.endswith("S"):
            return self.pixels
        # Grey + alpha and RGB + alpha have 2 and 4 samples.
        samples = self.pixels[..., : 1 if self.pixels.shape[-1] == 2 else 3]
        first = samples[..., 0]
        if not all(np.array_equal(first, samples[..., index]) for index in range(1, samples.shape[-1])):
            raise UnsupportedImage(
                f"{self.name or 'image'}: expected grey, found colour samples that differ; export it as grey"
            )
        return np.ascontiguousarray(first)


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
