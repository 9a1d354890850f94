"""What was learned about an instrument's degradation, and the recipe that repeats it."""

from typing import Literal

from model_library.degradation.operators import (
    Digitise,
    Downsample,
    GainOffset,
    GaussianBlur,
    Operator,
    ReadNoise,
    ShotNoise,
)
from model_library.degradation.recipe import Recipe
from model_library.wire.base import Message

Bits = Literal[8, 12, 14, 16]
Scale = Literal[1, 2, 3, 4]
OffsetSource = Literal["given", "clean images", "empty pixels", "skewness", "assumed"]


class DegradationFit(Message):
    """Parameters of an acquisition, recovered from its images.

    Attributes
    ----------
    images
        How many were used.
    paired
        Whether clean partners were known.
    gain_counts_per_electron
        0 where noise does not grow with the grey value.
    offset_counts, offset_from
        Grey value of no electron, and how it is known. "assumed" is the least that the noise allows: then
        only the total noise is certain, not its parting into shot and read noise.
    read_sigma_counts
        Standard deviation of the noise of no electron, rounding excluded.
    noise_sigma_counts, level_counts
        Standard deviation of all noise, rounding included, at the median grey value, and that value.
    full_scale_counts
        From intensity 0 to intensity 1, above the offset.
    electrons_per_pixel
        At intensity 1; None without shot noise.
    blur_sigma_px
        Gaussian, in pixels of the clean image; None without clean images.
    scale
        Pixels of the clean image per pixel, along each axis.
    neighbour_correlation
        Of the noise; 0 where it is white, as it must be. None without clean images.
    bits
        Of the detector; None for images that are not whole counts.
    """

    images: int
    paired: bool
    gain_counts_per_electron: float
    offset_counts: float
    offset_from: OffsetSource
    read_sigma_counts: float
    noise_sigma_counts: float
    level_counts: float
    full_scale_counts: float
    electrons_per_pixel: float | None
    blur_sigma_px: float | None = None
    scale: Scale = 1
    neighbour_correlation: float | None = None
    bits: Bits | None = None

    def recipe(self) -> Recipe:
        """Build the recipe that does to intensities in [0, 1] what the instrument does to the specimen."""
        operators: list[Operator] = []
        if self.blur_sigma_px:
            operators.append(GaussianBlur(sigma_px=self.blur_sigma_px))
        if self.scale != 1:
            operators.append(Downsample(scale=self.scale))
        if self.electrons_per_pixel is not None:
            operators.append(ShotNoise(electrons_per_pixel=self.electrons_per_pixel))
        if self.read_sigma_counts > 0:
            operators.append(ReadNoise(sigma=self.read_sigma_counts / self.full_scale_counts))
        range_of: Operator = (
            GainOffset(gain=self.full_scale_counts, offset=self.offset_counts)
            if self.bits is None
            else Digitise(bits=self.bits, gain=self.full_scale_counts, offset=self.offset_counts)
        )
        return Recipe(operators=(*operators, range_of))
