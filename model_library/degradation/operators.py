"""What an acquisition does to an ideal image, one effect per operator.

Every operator maps unit intensity (float32 [Y, X], ideally in [0, 1]) to unit intensity; only
`Digitise` ends in counts. No operator clips what it need not: the detector's range is `Digitise`'s affair.
"""

from typing import Annotated, Literal

import numpy as np
from pydantic import Field
from scipy import ndimage

from model_library.errors import RecipeError
from model_library.images.frame import Grey
from model_library.wire.base import Message

_Share = Annotated[float, Field(ge=0, le=1)]
_Positive = Annotated[float, Field(gt=0)]
_NotNegative = Annotated[float, Field(ge=0)]


class GaussianBlur(Message):
    """Defocus or a wide probe: convolution with a Gaussian of standard deviation `sigma_px`."""

    kind: Literal["gaussian_blur"] = "gaussian_blur"
    sigma_px: _NotNegative

    def apply(self, pixels: Grey, rng: np.random.Generator) -> Grey:
        """Blur unit intensity [Y, X]; `rng` is not drawn from."""
        del rng
        return np.asarray(ndimage.gaussian_filter(pixels, self.sigma_px)) if self.sigma_px > 0 else pixels


class Downsample(Message):
    """Coarser sampling: each pixel is the mean of `scale` x `scale` finer ones."""

    kind: Literal["downsample"] = "downsample"
    scale: Literal[2, 3, 4]

    def apply(self, pixels: Grey, rng: np.random.Generator) -> Grey:
        """Block means: float32 [Y, X] -> [Y // scale, X // scale]; a remainder at the end is dropped."""
        del rng
        return block_mean(pixels, self.scale)


class ShotNoise(Message):
    """Counting statistics: Poisson noise at `electrons_per_pixel` where the intensity is 1."""

    kind: Literal["shot_noise"] = "shot_noise"
    electrons_per_pixel: _Positive

    def apply(self, pixels: Grey, rng: np.random.Generator) -> Grey:
        """Count electrons; negative intensity [Y, X] counts as dark."""
        expected = np.clip(pixels, 0, None).astype(np.float64) * self.electrons_per_pixel
        return np.asarray(rng.poisson(expected) / self.electrons_per_pixel, dtype=np.float32)


class ReadNoise(Message):
    """The amplifier's noise: additive, Gaussian, the same everywhere, standard deviation `sigma`."""

    kind: Literal["read_noise"] = "read_noise"
    sigma: _NotNegative

    def apply(self, pixels: Grey, rng: np.random.Generator) -> Grey:
        """Add noise to unit intensity [Y, X]."""
        noise = rng.standard_normal(pixels.shape, dtype=np.float32)
        return np.asarray(pixels + np.float32(self.sigma) * noise, dtype=np.float32)


class LocalVarianceNoise(Message):
    """The noise of PSSR v1 (Fang et al., Nat. Methods 2021): Gaussian, variance `share` x the local mean.

    The local mean is a Gaussian average of standard deviation `sigma_px`; it only sets the variance:
    nothing is blurred. Published: share 0.05 and sigma 3 for electron microscopy, 0.5 and 5 for fluorescence.
    """

    kind: Literal["local_variance_noise"] = "local_variance_noise"
    share: _NotNegative
    sigma_px: _Positive

    def apply(self, pixels: Grey, rng: np.random.Generator) -> Grey:
        """Add noise to unit intensity [Y, X]."""
        variance = np.float32(self.share) * np.clip(ndimage.gaussian_filter(pixels, self.sigma_px), 0, None)
        deviation = np.sqrt(variance).astype(np.float32)
        noise = rng.standard_normal(pixels.shape, dtype=np.float32)
        return np.asarray(pixels + deviation * noise, dtype=np.float32)


class SaltPepper(Message):
    """Hot and dead pixels: shares of all pixels set to 1 and to 0."""

    kind: Literal["salt_pepper"] = "salt_pepper"
    salt: _Share
    pepper: _Share

    def apply(self, pixels: Grey, rng: np.random.Generator) -> Grey:
        """Replace pixels of unit intensity [Y, X]."""
        draw = rng.random(pixels.shape, dtype=np.float32)
        salted = np.where(draw < self.salt, np.float32(1), pixels)
        return np.where(draw > 1 - self.pepper, np.float32(0), salted).astype(np.float32)


class ScanLineJitter(Message):
    """Vibration and flyback error: each row is displaced along x by a Gaussian shift of `sigma_px`."""

    kind: Literal["scan_line_jitter"] = "scan_line_jitter"
    sigma_px: _NotNegative

    def apply(self, pixels: Grey, rng: np.random.Generator) -> Grey:
        """Displace rows of unit intensity [Y, X], interpolated linearly; borders repeat the last pixel."""
        shift = rng.normal(0, self.sigma_px, (pixels.shape[0], 1)).astype(np.float32)
        place = np.clip(np.arange(pixels.shape[1], dtype=np.float32) + shift, 0, pixels.shape[1] - 1)
        left = np.minimum(place.astype(np.intp), max(pixels.shape[1] - 2, 0))
        right = np.minimum(left + 1, pixels.shape[1] - 1)
        weight = place - left.astype(np.float32)
        near, far = np.take_along_axis(pixels, left, axis=1), np.take_along_axis(pixels, right, axis=1)
        return np.asarray(near * (1 - weight) + far * weight, dtype=np.float32)


class Digitise(Message):
    """The analogue-digital converter: counts = round(gain * intensity + offset), clipped to `bits`."""

    kind: Literal["digitise"] = "digitise"
    bits: Literal[8, 12, 14, 16] = 8
    gain: _Positive = 255.0
    offset: float = 0.0

    def apply(self, pixels: Grey, rng: np.random.Generator) -> Grey:
        """Turn unit intensity [Y, X] into whole counts (still float32) in [0, 2**bits - 1]."""
        del rng
        counts = np.rint(np.float32(self.gain) * pixels + np.float32(self.offset))
        return np.asarray(np.clip(counts, 0, 2**self.bits - 1), dtype=np.float32)


Operator = Annotated[
    GaussianBlur
    | Downsample
    | ShotNoise
    | ReadNoise
    | LocalVarianceNoise
    | SaltPepper
    | ScanLineJitter
    | Digitise,
    Field(discriminator="kind"),
]
"""One effect of an acquisition."""


def block_mean(pixels: Grey, scale: int) -> Grey:
    """Mean of each `scale` x `scale` block: float32 [Y, X] -> [Y // scale, X // scale].

    Raises
    ------
    RecipeError
        The image is smaller than one block.
    """
    rows, columns = pixels.shape[0] // scale, pixels.shape[1] // scale
    if rows == 0 or columns == 0:
        raise RecipeError(
            f"expected an image of at least {scale} x {scale} pixels to sample it {scale} x coarser, found "
            f"{pixels.shape[0]} x {pixels.shape[1]}; use a larger image or a smaller scale"
        )
    blocks = pixels[: rows * scale, : columns * scale].reshape(rows, scale, columns, scale)
    return np.asarray(blocks.mean(axis=(1, 3)), dtype=np.float32)
