"""Whether what was found is brighter or darker than what lies around it."""

import numpy as np
from scipy import ndimage

from benchmark.look import Look
from benchmark.selection.label_free.agreement import Classes, smoothed
from model_library.images.frame import Grey

_REACH_PX = 5.0
"""How far surroundings reach: near enough that shading leaves them as it leaves what they surround."""


def contrast(pixels: Grey, classes: Classes) -> float:
    """Mean grey value of all that was found less that of its surroundings, in the smoothed image.

    A dark outline darkens the object that it is part of, and not the object's surroundings: filled objects
    have the look of their outline.

    Parameters
    ----------
    pixels
        Counts [Y, X].
    classes
        Found there; 0 is what was not looked for.

    Returns
    -------
    float
        In standard deviations of the smoothed image; 0 where nothing or everything was found, or where the
        image is flat.
    """
    inside = classes > 0
    smooth = smoothed(pixels)
    deviation = float(smooth.std())
    if deviation <= 0 or inside.all() or not inside.any():
        return 0.0
    around = ~inside & (ndimage.distance_transform_edt(~inside) <= _REACH_PX)
    return float(smooth[inside].mean() - smooth[around].mean()) / deviation


def likeness(found: float, look: Look) -> float:
    """Tell from a `contrast` how far it is that of a look, in [0, 1]; 0 for the other look."""
    return float(np.clip(found if look is Look.BRIGHT else -found, 0, 1))
