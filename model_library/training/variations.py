"""The ranges from which training draws a different degradation for every image."""

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import AfterValidator, Field

from model_library.degradation.operators import (
    Charging,
    Digitise,
    Downsample,
    GaussianBlur,
    LocalVarianceNoise,
    Operator,
    ReadNoise,
    ScanLineJitter,
    ShotNoise,
)
from model_library.images.frame import Grey
from model_library.wire.base import Message


def _in_order(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] > bounds[1]:
        raise ValueError(f"expected the low end first, found {bounds}; swap them")
    return bounds


Range = Annotated[
    tuple[Annotated[float, Field(ge=0)], Annotated[float, Field(ge=0)]], AfterValidator(_in_order)
]
"""Low and high end."""

PositiveRange = Annotated[
    tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]], AfterValidator(_in_order)
]
"""Low and high end of what is drawn log-uniformly."""


class Variations(Message):
    """Ranges (low, high) of one family of degradations; None leaves a term out.

    Electron counts, noise levels and gamma are drawn log-uniformly, the rest uniformly, all
    independently. `electrons_per_pixel` is at unit intensity, on the coarse grid where there is
    one. `read_sigma` is relative to unit intensity. `local_share` is the noise of PSSR v1, which
    strikes before down-sampling. `charging_sigma` is the height of streaks in a tenth of the rows, relative
    to unit intensity. `blur_px` is the optics', so it belongs to the target as well.
    `contrast` is the span that the image takes up within [0, 1]; `inverted_share` of the images
    are negatives.
    """

    scale: Literal[1, 2, 3, 4] = 1
    electrons_per_pixel: PositiveRange | None = None
    read_sigma: PositiveRange | None = None
    local_share: PositiveRange | None = None
    jitter_px: Range | None = None
    charging_sigma: PositiveRange | None = None
    blur_px: Range | None = None
    gamma: PositiveRange = (0.6, 1.6)
    contrast: Range = (0.35, 1.0)
    inverted_share: float = Field(default=0.25, ge=0, le=1)

    def restyle(self, image: Grey, rng: np.random.Generator) -> Grey:
        """Another specimen under another optics: gamma, contrast, brightness, blur; [Y, X] in [0, 1]."""
        span = rng.uniform(*self.contrast)
        floor = rng.uniform(0.0, 1.0 - span)
        styled = (floor + span * np.clip(image, 0, 1) ** _log_uniform(self.gamma, rng)).astype(np.float32)
        if rng.random() < self.inverted_share:
            styled = 1 - styled
        if self.blur_px is None:
            return styled
        return GaussianBlur(sigma_px=rng.uniform(*self.blur_px)).apply(styled, rng)

    def acquire(self, image: Grey, rng: np.random.Generator) -> tuple[Grey, Grey]:
        """Acquire an image: what is left of it, and the image itself in the same counts.

        Parameters
        ----------
        image
            [Y, X] in [0, 1].
        rng
            Source of all chance.

        Returns
        -------
        tuple
            The acquired image [Y / scale, X / scale] and the given one [Y, X], both in the counts
            of one detector. Half of the detectors have 8 bits and clip, the others do neither.
        """
        acquired = image
        for operator in self._draw(rng):
            acquired = operator.apply(acquired, rng)
        if rng.random() < 0.5:
            return acquired, image
        gain, offset = rng.uniform(120, 255), rng.uniform(0, 60)
        digital = Digitise(bits=8, gain=gain, offset=offset).apply(acquired, rng)
        return digital, image * np.float32(gain) + np.float32(offset)

    def _draw(self, rng: np.random.Generator) -> Sequence[Operator]:
        operators: list[Operator] = []
        if self.jitter_px is not None:
            operators.append(ScanLineJitter(sigma_px=rng.uniform(*self.jitter_px)))
        if self.local_share is not None:
            share = _log_uniform(self.local_share, rng)
            operators.append(LocalVarianceNoise(share=share, sigma_px=rng.uniform(2, 5)))
        if self.scale != 1:
            operators.append(Downsample(scale=self.scale))
        if self.electrons_per_pixel is not None:
            operators.append(ShotNoise(electrons_per_pixel=_log_uniform(self.electrons_per_pixel, rng)))
        if self.charging_sigma is not None:
            sigma, length = _log_uniform(self.charging_sigma, rng), rng.uniform(10, 80)
            operators.append(Charging(share=0.1, sigma=sigma, length_px=length))
        if self.read_sigma is not None:
            operators.append(ReadNoise(sigma=_log_uniform(self.read_sigma, rng)))
        return operators


def _log_uniform(bounds: PositiveRange, rng: np.random.Generator) -> float:
    low, high = bounds
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
