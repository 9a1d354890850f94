"""Random fields: the raw material of every simulated specimen.

White noise is shaped in the Fourier domain, so a field of any size costs two transforms. Fields are
periodic over the image, of zero mean and unit standard deviation.
"""

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from model_library.images.frame import Grey

_COARSE = 4
"""Fields much smoother than this many pixels are drawn at that sampling and interpolated."""


def frequencies(shape: tuple[int, int]) -> tuple[Grey, Grey]:
    """Frequencies (fy [Y, 1], fx [1, X // 2 + 1]) of a real transform, in cycles per pixel."""
    fy = scipy.fft.fftfreq(shape[0]).astype(np.float32)[:, None]
    fx = scipy.fft.rfftfreq(shape[1]).astype(np.float32)[None, :]
    return fy, fx


def filtered(image: Grey, response: NDArray[np.float32]) -> Grey:
    """Multiply the spectrum of a real image [Y, X] by a response [Y, X // 2 + 1]."""
    spectrum = scipy.fft.rfft2(image) * response
    return np.asarray(scipy.fft.irfft2(spectrum, s=image.shape), dtype=np.float32)


def stretched(field: Grey, shape: tuple[int, int], step: int) -> Grey:
    """Interpolate a coarse field linearly to `step` times its sampling, cut to the shape [Y, X]."""
    for axis, size in enumerate(shape):
        place = np.arange(size, dtype=np.float32) / np.float32(step)
        low = np.minimum(place.astype(np.intp), field.shape[axis] - 2)
        weight = place - low.astype(np.float32)
        weight = weight[:, None] if axis == 0 else weight
        field = np.take(field, low, axis) * (1 - weight) + np.take(field, low + 1, axis) * weight
    return field


def smooth_field(
    shape: tuple[int, int],
    rng: np.random.Generator,
    length_px: float,
    *,
    elongation: float = 1.0,
    angle: float = 0.0,
) -> Grey:
    """Field with a Gaussian spectrum.

    Parameters
    ----------
    shape
        Pixels along [Y, X].
    rng
        Source of all randomness.
    length_px
        Correlation length across the structure, in pixels.
    elongation
        Correlation length along the structure as a multiple of `length_px`.
    angle
        Direction of the structure from the x axis, in radians.

    Returns
    -------
    Grey
        float32 [Y, X], zero mean, unit standard deviation.
    """
    if length_px >= _COARSE * 6:
        coarse = (-(-shape[0] // _COARSE) + 1, -(-shape[1] // _COARSE) + 1)
        field = _shaped(coarse, rng, _gaussian(coarse, length_px / _COARSE, elongation, angle))
        return stretched(field, shape, _COARSE)
    return _shaped(shape, rng, _gaussian(shape, length_px, elongation, angle))


def _gaussian(
    shape: tuple[int, int], length_px: float, elongation: float, angle: float
) -> NDArray[np.float32]:
    """Gaussian response [Y, X // 2 + 1] of these correlation lengths."""
    fy, fx = frequencies(shape)
    along = fx * np.float32(np.cos(angle)) + fy * np.float32(np.sin(angle))
    across = fy * np.float32(np.cos(angle)) - fx * np.float32(np.sin(angle))
    decay = np.float32(-0.5 * (np.pi * length_px) ** 2)
    return np.asarray(np.exp(decay * (across**2 + np.float32(elongation**2) * along**2)), dtype=np.float32)


def rough_field(
    shape: tuple[int, int],
    rng: np.random.Generator,
    *,
    slope: float,
    longest_px: float,
    shortest_px: float = 4.0,
) -> Grey:
    """Field with a power-law amplitude spectrum f ** -slope between two wavelengths (pixels).

    Returns
    -------
    Grey
        float32 [Y, X], zero mean, unit standard deviation.
    """
    fy, fx = frequencies(shape)
    squared = fy**2 + fx**2
    floor = np.float32(longest_px**-2.0)
    response = (squared + floor) ** np.float32(-0.5 * slope) * np.exp(
        np.float32(-0.5 * shortest_px**2) * squared
    )
    return _shaped(shape, rng, response)


def _shaped(shape: tuple[int, int], rng: np.random.Generator, response: NDArray[np.float32]) -> Grey:
    response[0, 0] = 0
    field = filtered(rng.standard_normal(shape, dtype=np.float32), response)
    spread = float(field.std())
    return field / np.float32(spread) if spread > 0 else field
