"""Faint blobs put into an acquisition: a method that erases them cannot be trusted with defects."""

import numpy as np

from benchmark.method import Method
from benchmark.trust.bands import noise_sigma
from benchmark.trust.forward import seen_again
from model_library.degradation.noise import NoiseModel
from model_library.images.frame import Grey

_SIZE_PX, _SPACING_PX, _MARGIN_PX = 2.5, 48, 24
_VISIBLE_SIGMA = 12.0
"""Contrast of a blob over the noise, by the filter that fits it best: plain to see, but faint per pixel."""


def blobs(acquired: Grey, noise: NoiseModel, rng: np.random.Generator) -> tuple[Grey, ...]:
    """Make blobs of both signs on a jittered grid, one image float32 [Y, X] in counts for each."""
    sigma = float(np.median(noise_sigma(acquired, noise)))
    # A matched filter sums to amplitude * size * sqrt(pi) / sigma standard deviations.
    amplitude = _VISIBLE_SIGMA * sigma / (_SIZE_PX * np.sqrt(np.pi))
    height, width = acquired.shape
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    found = []
    for y in range(_MARGIN_PX, height - _MARGIN_PX + 1, _SPACING_PX):
        for x in range(_MARGIN_PX, width - _MARGIN_PX + 1, _SPACING_PX):
            sign, (dy, dx) = rng.choice((-1.0, 1.0)), rng.uniform(-6, 6, 2)
            distance = np.square(rows - y - dy) + np.square(columns - x - dx)
            found.append(np.float32(sign * amplitude) * np.exp(-distance / np.float32(2 * _SIZE_PX**2)))
    return tuple(found)


def kept(method: Method, acquired: Grey, noise: NoiseModel, rng: np.random.Generator) -> tuple[float, ...]:
    """Tell which share of each planted blob's contrast comes through; empty for images too small for one.

    Parameters
    ----------
    method
        Restores.
    acquired
        float32 [Y, X] in counts; the blobs are added to its own noise.
    noise
        Of the instrument.
    rng
        Places the blobs.
    """
    planted = blobs(acquired, noise, rng)
    if not planted:
        return ()
    total = np.sum(planted, axis=0, dtype=np.float32)
    with_blobs = seen_again(method(acquired + total), acquired)
    change = with_blobs - seen_again(method(acquired), acquired)
    return tuple(float(np.vdot(change, blob) / np.vdot(blob, blob)) for blob in planted)
