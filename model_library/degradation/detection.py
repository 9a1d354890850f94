"""What counting, amplifying and digitising do: noise and the range of grey values."""

from typing import Literal

import numpy as np
from scipy import ndimage

from model_library.degradation.quantities import NotNegative, Positive, Share
from model_library.images.frame import Grey
from model_library.wire.base import Message


class ShotNoise(Message):
    """Counting statistics: Poisson noise at `electrons_per_pixel` where the intensity is 1."""

    kind: Literal["shot_noise"] = "shot_noise"
    electrons_per_pixel: Positive

    def apply(self, pixels: Grey, rng: np.random.Generator) -> Grey:
        """Count electrons; negative intensity [Y, X] counts as dark."""
        expected = np.clip(pixels, 0, None).astype(np.float64) * self.electrons_per_pixel
        return np.asarray(rng.poisson(expected) / self.electrons_per_pixel, dtype=np.float32)


class ReadNoise(Message):
    """The amplifier's noise: additive, Gaussian, the same everywhere, standard deviation `sigma`."""

    kind: Literal["read_noise"] = "read_noise"
    sigma: NotNegative

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
    share: NotNegative
    sigma_px: Positive

    def apply(self, pixels: Grey, rng: np.random.Generator) -> Grey:
        """Add noise to unit intensity [Y, X]."""
        variance = np.float32(self.share) * np.clip(ndimage.gaussian_filter(pixels, self.sigma_px), 0, None)
        deviation = np.sqrt(variance).astype(np.float32)
        noise = rng.standard_normal(pixels.shape, dtype=np.float32)
        return np.asarray(pixels + deviation * noise, dtype=np.float32)


class SaltPepper(Message):
    """Hot and dead pixels: shares of all pixels set to 1 and to 0."""

    kind: Literal["salt_pepper"] = "salt_pepper"
    salt: Share
    pepper: Share

    def apply(self, pixels: Grey, rng: np.random.Generator) -> Grey:
        """Replace pixels of unit intensity [Y, X]."""
        draw = rng.random(pixels.shape, dtype=np.float32)
        salted = np.where(draw < self.salt, np.float32(1), pixels)
        return np.where(draw > 1 - self.pepper, np.float32(0), salted).astype(np.float32)


class GainOffset(Message):
    """Contrast and brightness: unit intensity times `gain`, plus `offset`; nothing is clipped."""

    kind: Literal["gain_offset"] = "gain_offset"
    gain: Positive = 1.0
    offset: float = 0.0

    def apply(self, pixels: Grey, rng: np.random.Generator) -> Grey:
        """Change unit intensity [Y, X]; `rng` is not drawn from."""
        del rng
        return np.asarray(np.float32(self.gain) * pixels + np.float32(self.offset))


class Clip(Message):
    """The range of the detector: what is below 0 becomes 0, what is above 1 becomes 1."""

    kind: Literal["clip"] = "clip"

    def apply(self, pixels: Grey, rng: np.random.Generator) -> Grey:
        """Clip unit intensity [Y, X]; `rng` is not drawn from."""
        del rng
        return np.asarray(np.clip(pixels, 0, 1), dtype=np.float32)


class Quantise(Message):
    """Rounding to the `2**bits` grey values of [0, 1]; unlike `digitise` it stays on the unit scale."""

    kind: Literal["quantise"] = "quantise"
    bits: Literal[4, 6, 8, 10, 12, 14, 16] = 8

    def apply(self, pixels: Grey, rng: np.random.Generator) -> Grey:
        """Clip and round unit intensity [Y, X]; `rng` is not drawn from."""
        del rng
        most = np.float32(2**self.bits - 1)
        return np.asarray(np.rint(np.clip(pixels, 0, 1) * most) / most, dtype=np.float32)


class Digitise(Message):
    """The analogue-digital converter: counts = round(gain * intensity + offset), clipped to `bits`."""

    kind: Literal["digitise"] = "digitise"
    bits: Literal[8, 12, 14, 16] = 8
    gain: Positive = 255.0
    offset: float = 0.0

    def apply(self, pixels: Grey, rng: np.random.Generator) -> Grey:
        """Turn unit intensity [Y, X] into whole counts (still float32) in [0, 2**bits - 1]."""
        del rng
        counts = np.rint(np.float32(self.gain) * pixels + np.float32(self.offset))
        return np.asarray(np.clip(counts, 0, 2**self.bits - 1), dtype=np.float32)
