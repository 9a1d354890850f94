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
        [Y, X], or smaller by the scale of super-resolution; what a method is given: noisier than `acquired`.
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
    """Split an acquired image for denoising.

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


def recorrupt_coarser(
    pixels: Grey, noise: NoiseModel, scale: int, rng: np.random.Generator, *, strength: float = 0.5
) -> Recorrupted:
    """Split an acquired image for super-resolution, judged one octave (or `scale`) coarser than it is used.

    The input is the block mean of `acquired + strength * noise` with fresh noise that brings it to the
    variance which the instrument has at that grey value; where averaging leaves more than that, none is
    added.

    Parameters
    ----------
    pixels
        float32 [Y, X] in counts, as acquired; rows and columns beyond a multiple of `scale` are dropped.
    noise
        The instrument's noise.
    scale
        Pixels of the target per pixel of the input, along each axis.
    rng
        Source of the fresh noise.
    strength
        The factor a > 0.

    Returns
    -------
    Recorrupted
        `input` float32 [Y // scale, X // scale]; the rest at the size that `scale` divides.

    Raises
    ------
    RecipeError
        `strength` is not positive, `scale` is below 1, or the image is smaller than one block.
    """
    if scale < 1:
        raise RecipeError(f"expected a scale of 1 or more, found {scale}; 2, 3 and 4 are usual")
    height, width = (size - size % scale for size in pixels.shape)
    pair = recorrupt(pixels[:height, :width], noise, rng, strength=strength)
    coarse = block_mean(pair.input, scale)
    missing = max(0.0, 1 - (1 + strength**2) / scale**2)
    added = added_noise(ndimage.gaussian_filter(coarse, _MEAN_SIGMA_PX), noise, missing, rng)
    return Recorrupted(coarse + added, pair.target, pair.acquired, pair.noise, strength)


def repeat_risk(prediction: Grey, pair: Recorrupted) -> float:
    """Estimate the mean squared difference of a prediction from an independent repeat of the acquisition.

    That is the mean squared error against the unknown truth plus the acquisition's own noise variance,
    which is the same for every method: differences between methods are unbiased, and may be slightly off
    zero at random.

    Parameters
    ----------
    prediction
        float32 [Y, X] in counts: a method's output for `pair.input`.
    pair
        The split image.

    Returns
    -------
    float
        In counts^2; NaN where the prediction holds NaN.

    Raises
    ------
    ImageError
        The prediction has another shape than the acquired image.
    """
    if prediction.shape != pair.acquired.shape:
        raise ImageError(
            f"expected a prediction of {pair.acquired.shape} pixels like the acquired image, found "
            f"{prediction.shape}; predict from the pair's input at the pair's scale"
        )
    difference = prediction.astype(np.float64) - pair.acquired
    return float(np.mean(difference**2) + 2 / pair.strength * np.mean(difference * pair.noise))
