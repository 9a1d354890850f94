"""Forward consistency: the result, acquired again, must match the acquisition within its noise."""

from dataclasses import dataclass

import numpy as np

from benchmark.errors import UnusableResult
from benchmark.trust.bands import noise_sigma
from model_library.degradation.noise import NoiseModel
from model_library.degradation.operators import block_mean
from model_library.images.frame import Grey

_COARSE_PX = 4


@dataclass(frozen=True)
class Residual:
    """What an acquisition and a result acquired again differ by.

    Attributes
    ----------
    pixels
        float32 [Y, X]: difference over the standard deviation of the noise there.
    variance
        Mean square of the difference over the mean variance of the noise.
    coarse_variance
        The same for means over 4 x 4 pixels, times 16: as large as `variance` if the residual is white,
        smaller where the result follows the acquisition, larger where structure is left in it.
    """

    pixels: Grey
    variance: float
    coarse_variance: float


def seen_again(result: Grey, acquired: Grey) -> Grey:
    """Bring a result to the sampling of the acquisition: a pixel is the mean over its area.

    Raises
    ------
    UnusableResult
        The result is not a whole number of times as large as the acquisition.
    """
    scale = max(1, result.shape[0] // acquired.shape[0])
    if result.shape != tuple(scale * side for side in acquired.shape):
        raise UnusableResult(
            f"expected a result of {acquired.shape} pixels or a multiple of that, found {result.shape}"
        )
    return block_mean(result, scale) if scale > 1 else result


def residual(result: Grey, acquired: Grey, noise: NoiseModel) -> Residual:
    """Hold a result against its acquisition.

    Parameters
    ----------
    result
        float32 [s Y, s X] in counts.
    acquired
        float32 [Y, X] in counts; what the method was given.
    noise
        Of the instrument.

    Raises
    ------
    UnusableResult
        See `seen_again`.
    """
    again = seen_again(result, acquired)
    difference, sigma = acquired - again, noise_sigma(acquired, noise)
    sides = tuple(side // _COARSE_PX * _COARSE_PX for side in difference.shape)
    coarse = block_mean(difference[: sides[0], : sides[1]], _COARSE_PX) * _COARSE_PX
    # Over the whole image the noise is known well; how it grows with the grey value, on few images, is not.
    expected = float(np.mean(np.square(sigma, dtype=np.float64)))
    return Residual(
        difference / sigma,
        float(np.mean(np.square(difference, dtype=np.float64))) / expected,
        float(np.mean(np.square(coarse, dtype=np.float64))) / expected,
    )
