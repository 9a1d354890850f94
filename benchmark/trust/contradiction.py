"""Structure of a result that its acquisition excludes, and where it is."""

import numpy as np
from scipy import ndimage

from benchmark.trust.bands import SIZES_PX, band, contrast, noise_sigma
from benchmark.trust.forward import seen_again
from model_library.degradation.noise import NoiseModel
from model_library.images.frame import Grey
from model_library.wire.base import Message

LIMIT_SIGMA = 6.0
"""Standard deviations of noise beyond which chance is no explanation: one pixel in 10^9."""


class Spot(Message):
    """A place where result and acquisition contradict each other.

    Attributes
    ----------
    y, x
        Of the strongest pixel, in pixels of the acquisition.
    size_px
        Standard deviation of the blob that fits best.
    sigma
        How far apart they are, in standard deviations of the noise; positive where the result is brighter.
    invented
        Whether the result has the contrast that the acquisition lacks; else it lost what was there.
    area_px
        Pixels beyond the limit.
    """

    y: int
    x: int
    size_px: float
    sigma: float
    invented: bool
    area_px: int


def contradictions(result: Grey, acquired: Grey, noise: NoiseModel) -> tuple[Spot, ...]:
    """Find blobs and edges on which result and acquisition differ by more than noise; strongest first.

    The difference of the two is noise where the result is right, and less where it follows the noise; in
    every band of sizes it is held against the noise that this band lets through.

    Parameters
    ----------
    result
        float32 [s Y, s X] in counts.
    acquired
        float32 [Y, X] in counts.
    noise
        Of the instrument.

    Raises
    ------
    UnusableResult
        See `seen_again`.
    """
    again, sigma = seen_again(result, acquired), noise_sigma(acquired, noise)
    stack = np.stack([contrast(again - acquired, sigma, size) for size in SIZES_PX])
    sizes = np.abs(stack).argmax(axis=0)
    strongest = np.take_along_axis(stack, sizes[None], axis=0)[0]
    labels, count = ndimage.label(np.abs(strongest) > LIMIT_SIGMA)
    if not count:
        return ()
    numbers = np.arange(1, count + 1)
    places = ndimage.maximum_position(np.abs(strongest), labels, numbers)
    areas = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    shown = [np.abs(band(again, size)) - np.abs(band(acquired, size)) for size in SIZES_PX]
    spots = [
        Spot(
            y=int(y),
            x=int(x),
            size_px=SIZES_PX[sizes[y, x]],
            sigma=float(strongest[y, x]),
            invented=bool(shown[sizes[y, x]][y, x] > 0),
            area_px=int(area),
        )
        for (y, x), area in zip(places, areas, strict=True)
    ]
    return tuple(sorted(spots, key=lambda spot: -abs(spot.sigma)))
