"""Judging and tuning without truth: two images with independent noise made from one.

Given y = x + noise of variance v(x) and fresh noise n of the same variance, y1 = y + a n and y2 = y - n / a
have independent noise (for Gaussian noise; for any other its second moments agree). So E|f(y1) - y2|^2 is
E|f(y1) - x|^2 plus a constant that no method can change. Pang et al., "Recorrupted-to-Recorrupted", CVPR
2021; Monroy et al., "Generalized Recorrupted-to-Recorrupted", 2024.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from model_library.degradation.noise import NoiseModel
from model_library.degradation.operators import block_mean
from model_library.errors import ImageError, RecipeError
from model_library.images.frame import Grey

_MEAN_SIGMA_PX = 1.5


@dataclass(frozen=True, slots=True)
class Recorrupted:
    """One acquired image split into input and target of independent noise; float32, in counts.

    Attributes
    ----------
    input
        [Y, X]; what a method is given: noisier than `acquired`.
    target
        [Y, X]; `acquired - noise / strength`: what a method is trained towards.
    acquired
        [Y, X]; the image as the instrument delivered it.
    noise
        [Y, X]; the fresh noise n.
    strength
        The factor a.
    """

    input: Grey
    target: Grey
    acquired: Grey
    noise: Grey
    strength: float


def recorrupt(
    pixels: Grey, noise: NoiseModel, rng: np.random.Generator, *, strength: float = 0.5
) -> Recorrupted:
    """Split an acquired image.

    Parameters
    ----------
    pixels
        float32 [Y, X] in counts, as acquired.
    noise
        The instrument's noise; the variance at a pixel is read off at its local mean.
    rng
        Source of the fresh noise.
    strength
        The factor a > 0: the input has 1 + a^2 of the acquired variance, the target 1 + 1 / a^2.

    Returns
    -------
    Recorrupted
        Input, target and the rest at the size of `pixels`.

    Raises
    ------
    RecipeError
        `strength` is not positive.
    """
    if not strength > 0:
        raise RecipeError(f"expected a positive recorruption strength, found {strength}; 0.5 is usual")
    acquired = pixels.astype(np.float32, copy=False)
    factor = np.float32(strength)
    local_mean = ndimage.gaussian_filter(acquired, _MEAN_SIGMA_PX)
    fresh = added_noise(local_mean, noise, strength**2, rng) / factor
    return Recorrupted(acquired + factor * fresh, acquired - fresh / factor, acquired, fresh, strength)


def added_noise(mean: Grey, noise: NoiseModel, share: float, rng: np.random.Generator) -> Grey:
    """Draw the noise by which `share` times the acquisition's variance is added, skewed as shot noise is.

    Parameters
    ----------
    mean
        Expected grey values, float32 [Y, X] in counts.
    noise
        The instrument's. Where its line crosses zero above zero counts, the detector has that offset.
    share
        Variance to add, as a multiple of that of one acquisition.
    rng
        Source of chance.

    Returns
    -------
    Grey
        float32 [Y, X] in counts, of mean 0.
    """
    variance = share * noise.variance(mean)
    if noise.gain <= 0:
        return np.asarray(np.sqrt(variance) * rng.standard_normal(mean.shape, dtype=np.float32))
    steady = np.minimum(np.float32(share * max(noise.read_variance, 0.0)), variance)
    gain = np.float32(noise.gain)
    electrons = (variance - steady) / gain**2
    shot = gain * (rng.poisson(electrons).astype(np.float32) - electrons)
    return np.asarray(shot + np.sqrt(steady) * rng.standard_normal(mean.shape, dtype=np.float32))


def repeat_risk(prediction: Grey, pair: Recorrupted) -> float:
    """Estimate the mean squared difference of a prediction from an independent repeat of the acquisition.

    That is the mean squared error against the unknown truth plus the acquisition's own noise variance,
    which is the same for every method: differences between methods are unbiased, and may be slightly off
    zero at random.

    A super-resolved prediction is binned to the instrument's sampling first (a pixel is the mean over its
    area), so it is judged at the scale and the noise at which it serves. Detail finer than that sampling
    goes unjudged: without a truth nothing can be said about it.

    Parameters
    ----------
    prediction
        float32 [s Y, s X] in counts: a method's output for `pair.input`; s is 1 for denoising.
    pair
        The split image.

    Returns
    -------
    float
        In counts^2; NaN where the prediction holds NaN.

    Raises
    ------
    ImageError
        The prediction is not a whole number of times as large as the acquired image.
    """
    scale = max(1, prediction.shape[0] // pair.acquired.shape[0])
    if prediction.shape != tuple(scale * side for side in pair.acquired.shape):
        raise ImageError(
            f"expected a prediction of {pair.acquired.shape} pixels like the acquired image, or a multiple "
            f"of that, found {prediction.shape}; predict from the pair's input"
        )
    seen = block_mean(prediction, scale) if scale > 1 else prediction
    difference = seen.astype(np.float64) - pair.acquired
    return float(np.mean(difference**2) + 2 / pair.strength * np.mean(difference * pair.noise))
