"""What an acquisition does to an ideal image, one effect per operator.

Every operator is a frozen value; `apply(pixels, rng)` maps unit intensity (float32 [Y, X], ideally in
[0, 1]) to unit intensity; only `Digitise` ends in counts. No operator clips what it need not: the
detector's range is `Clip`'s and `Digitise`'s affair. The same generator state gives the same image.
"""

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from model_library.degradation.detection import (
    Clip,
    Digitise,
    GainOffset,
    LocalVarianceNoise,
    Quantise,
    ReadNoise,
    SaltPepper,
    ShotNoise,
)
from model_library.degradation.optics import Defocus, DetectorSpread, GaussianBlur
from model_library.degradation.sampling import Downsample, Zoom, block_mean
from model_library.degradation.scanning import BaselineWander, Charging, Drift, ScanLineJitter
from model_library.images.frame import Grey
from model_library.wire.base import Message

__all__ = [
    "BaselineWander",
    "Charging",
    "Clip",
    "Defocus",
    "DetectorSpread",
    "Digitise",
    "Downsample",
    "Drift",
    "GainOffset",
    "GaussianBlur",
    "KeepMaximum",
    "LocalVarianceNoise",
    "Operator",
    "Quantise",
    "ReadNoise",
    "SaltPepper",
    "ScanLineJitter",
    "ShotNoise",
    "Zoom",
    "block_mean",
]

Restorable = Annotated[
    SaltPepper | LocalVarianceNoise | ReadNoise | ShotNoise | Clip, Field(discriminator="kind")
]
"""Operators after which the maximum of an image can be restored."""


class KeepMaximum(Message):
    """Noise after which the image is scaled back to the maximum that it had (PSSR v1, fluorescence)."""

    kind: Literal["keep_maximum"] = "keep_maximum"
    operators: tuple[Restorable, ...] = Field(min_length=1)

    def apply(self, pixels: Grey, rng: np.random.Generator) -> Grey:
        """Apply the operators to unit intensity [Y, X] in turn, then scale."""
        noisy = pixels
        for operator in self.operators:
            noisy = operator.apply(noisy, rng)
        most = float(noisy.max(initial=0))
        if most <= 0:
            return noisy
        return np.asarray(noisy * np.float32(float(pixels.max(initial=0)) / most), dtype=np.float32)


Operator = Annotated[
    GaussianBlur
    | Defocus
    | DetectorSpread
    | Downsample
    | Zoom
    | ShotNoise
    | ReadNoise
    | LocalVarianceNoise
    | SaltPepper
    | ScanLineJitter
    | Drift
    | Charging
    | BaselineWander
    | GainOffset
    | Clip
    | Quantise
    | KeepMaximum
    | Digitise,
    Field(discriminator="kind"),
]
"""One effect of an acquisition."""
