"""The noise of one image, from the image alone, and a scale on which it is the same everywhere."""

from dataclasses import dataclass

import numpy as np

from model_library.images.frame import Grey

_MAD_TO_SIGMA = 0.6744897501960817


def noise_level(pixels: Grey) -> float:
    """Measure the standard deviation of the noise by the median absolute diagonal detail of a db2 wavelet.

    Donoho & Johnstone 1994. Texture and shot noise make it a measure rather than an estimate, which is
    all that a tuned factor needs. Never 0, so that it can divide.
    """
    import pywt

    _, (_, _, diagonal) = pywt.dwt2(pixels, "db2")
    sigma = float(np.median(np.abs(diagonal))) / _MAD_TO_SIGMA
    return max(sigma, 1e-6)


@dataclass(frozen=True)
class Stabiliser:
    """Root transform (Anscombe 1948) for a variance that grows with the mean as 1 + `growth` * mean.

    Works on unit scale. `growth` is tuned like any other parameter, because a fit to a single image
    is too uncertain to build on: it is the variance where the image is bright (99th percentile) over
    that where it is dark (1st), less 1; 0 for pure read noise. Below the dark end it is the identity.
    """

    growth: float

    def apply(self, pixels: Grey) -> Grey:
        """Map the unit scale to the stabilised one."""
        root = np.sqrt(1 + self.growth * np.maximum(pixels, 0))
        return np.asarray(np.where(pixels > 0, 2 / self.growth * (root - 1), pixels), dtype=np.float32)

    def invert(self, pixels: Grey, sigma: float) -> Grey:
        """Map smoothed pixels back; `sigma` is the noise before smoothing, whose bias is taken off."""
        root = 1 + self.growth / 2 * np.maximum(pixels, 0)
        straight = np.where(pixels > 0, (np.square(root) - 1) / self.growth, pixels)
        return np.asarray(straight + self.growth / 4 * sigma**2, dtype=np.float32)
