"""Small changes of an acquisition that should not change what is seen in it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from benchmark.selection.label_free.agreement import Classes
from model_library.degradation.noise import NoiseModel
from model_library.degradation.recorruption import recorrupt
from model_library.degradation.scanning import Charging
from model_library.images.frame import Grey

_GAMMA = 1.25
_SAMPLING = 0.9
_STREAKS = Charging(share=0.1, sigma=0.08, length_px=40)
"""Of an image whose grey values span 1."""

AS_ACQUIRED = ("noise", "turn", "charging")
"""Changes after which the grain of an image is still that of the instrument: labels hold for them as well."""


@dataclass(frozen=True)
class Perturbed:
    """An image after a change, and how what is found in it is mapped back onto the image before.

    Attributes
    ----------
    pixels
        float32, counts.
    back
        From classes on `pixels` to classes [Y, X] on the image before.
    """

    name: str
    pixels: Grey
    back: Callable[[Classes], Classes]


def perturbed(pixels: Grey, noise: NoiseModel, rng: np.random.Generator) -> tuple[Perturbed, ...]:
    """Change an image [Y, X] in counts as the next one of the same instrument may differ from it.

    By noise, a quarter of the variance that `noise` says the image has already; by a turn; by streaks of
    charge; by contrast, through a power law between the 1st and 99th percentile (a linear change does
    nothing behind the scaling of networks); and by sampling, 0.9 of what it was.
    """
    coarse = tuple(max(1, round(_SAMPLING * side)) for side in pixels.shape)
    factors = [small / side for small, side in zip(coarse, pixels.shape, strict=True)]
    return (
        Perturbed("noise", recorrupt(pixels, noise, rng).input, _same),
        Perturbed("turn", np.ascontiguousarray(np.rot90(pixels)), lambda found: np.rot90(found, -1)),
        Perturbed("charging", _charged(pixels, rng), _same),
        Perturbed("contrast", _curved(pixels), _same),
        Perturbed(
            "sampling",
            ndimage.zoom(pixels, factors, order=1, grid_mode=True, mode="nearest"),
            lambda found: _nearest(found, pixels.shape),
        ),
    )


def _same(found: Classes) -> Classes:
    return found


def _curved(pixels: Grey) -> Grey:
    low, span = _span(pixels)
    unit = (pixels - low) / span
    return np.asarray(np.sign(unit) * np.abs(unit) ** np.float32(_GAMMA) * span + low, dtype=np.float32)


def _charged(pixels: Grey, rng: np.random.Generator) -> Grey:
    low, span = _span(pixels)
    return np.asarray(_STREAKS.apply((pixels - low) / span, rng) * span + low, dtype=np.float32)


def _span(pixels: Grey) -> tuple[np.float32, np.float32]:
    """Grey value of the 1st percentile, and from there to the 99th; 1 in a flat image."""
    low, high = (float(value) for value in np.percentile(pixels, (1, 99)))
    return np.float32(low), np.float32(high - low if high > low else 1.0)


def _nearest(found: Classes, shape: tuple[int, ...]) -> Classes:
    rows, columns = (
        np.minimum(((np.arange(side) + 0.5) * small / side).astype(np.intp), small - 1)
        for side, small in zip(shape, found.shape, strict=True)
    )
    return np.asarray(found[rows][:, columns])
