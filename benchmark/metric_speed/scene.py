"""Images and objects on which metrics are compared with their references."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_OBJECT_PX = 10.5
"""Smoothing that gives some 150 objects per megapixel."""


@dataclass(frozen=True)
class Scene:
    """A truth and something close to it, as grey values and as objects.

    Attributes
    ----------
    image, truth
        float64 [Y, X], in counts; `data_range` is the truth's span.
    first, second
        uint16 [Y, X], two acquisitions of the truth, in counts.
    found, objects
        int32 [Y, X], 0 for background.
    """

    image: NDArray[np.float64]
    truth: NDArray[np.float64]
    data_range: float
    first: NDArray[np.uint16]
    second: NDArray[np.uint16]
    found: NDArray[np.int32]
    objects: NDArray[np.int32]


def scene(side_px: int, seed: int) -> Scene:
    """Draw a scene of square images; equal arguments give an equal one."""
    from scipy.ndimage import gaussian_filter, label

    rng = np.random.default_rng(seed)
    field = gaussian_filter(rng.standard_normal((side_px, side_px)), _OBJECT_PX)
    field /= field.std()
    fine = gaussian_filter(rng.standard_normal(field.shape), 2)
    truth = 2000 + 400 * field + 120 * fine / fine.std()
    image = 0.8 * truth + 150 + 60 * rng.standard_normal(truth.shape)
    frames = [np.rint(truth + 150 * rng.standard_normal(truth.shape)).clip(0, 65535) for _ in range(2)]
    objects, _ = label(field > 0.8)
    rough = gaussian_filter(rng.standard_normal(field.shape), 4)
    found, _ = label(field + 0.15 * rough / rough.std() > 0.75)
    return Scene(
        image=image,
        truth=truth,
        data_range=float(np.ptp(truth)),
        first=frames[0].astype(np.uint16),
        second=frames[1].astype(np.uint16),
        found=np.asarray(found, dtype=np.int32),
        objects=np.asarray(objects, dtype=np.int32),
    )


def planted(cut_off: float, side_px: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw two noisy acquisitions of one specimen without detail above a frequency, in cycles per pixel."""
    rng = np.random.default_rng([seed, round(1000 * cut_off)])
    frequency = np.hypot(np.fft.fftfreq(side_px)[:, None], np.fft.rfftfreq(side_px)[None])
    white = np.fft.rfft2(rng.standard_normal((side_px, side_px)))
    specimen = np.fft.irfft2(white * (frequency <= cut_off), (side_px, side_px))
    specimen /= specimen.std()
    first, second = (specimen + 0.5 * rng.standard_normal(specimen.shape) for _ in range(2))
    return first, second
