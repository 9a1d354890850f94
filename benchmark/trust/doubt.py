"""Whether the noise of acquired images is a detector's: without that, scores without truth mean nothing."""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from benchmark.cases import Case, Repeat
from benchmark.trust.findings import TrustLimits
from benchmark.trust.forward import residual
from model_library.degradation.noise import NoiseModel, estimate_noise
from model_library.errors import ImageError
from model_library.images.frame import Grey

CANNOT_TELL = "cannot be told: "
"""What a check says that such noise makes impossible."""

_CONTROL_PX = 0.7
_MOST_CASES = 8


def noise_in_doubt(images: Sequence[Grey], noise: NoiseModel, limits: TrustLimits) -> str | None:
    """Say why no method could match acquisitions within the noise that was measured on them.

    The mildest smoother is the control: it leaves half of white noise. Images that were smoothed, compressed
    or sharpened before they came here have another noise, or none, at the finest scale, where it is measured.

    Parameters
    ----------
    images
        float32 [Y, X], counts.
    noise
        As measured on them.
    """
    left = [residual(ndimage.gaussian_filter(image, _CONTROL_PX), image, noise) for image in images]
    variance = float(np.mean([one.variance for one in left]))
    coarse = float(np.mean([one.coarse_variance for one in left]))
    if variance <= limits.forward and coarse <= limits.whiteness:
        return None
    return (
        f"a Gaussian of {_CONTROL_PX} px alone takes {variance:.1f} of the noise variance away ({coarse:.1f}"
        " over 4 x 4 pixels); these images have other noise than a detector's (smoothed, compressed or"
        " sharpened before), or hardly any"
    )


def not_relied_on(why: str) -> str:
    """Word what that means for scores without truth."""
    return (
        f"scores without truth are not to be relied on: {why}; of images that were smoothed, compressed or"
        " sharpened they mean nothing: judge with truth, or on images as the detector delivered them"
    )


def scores_in_doubt(cases: Sequence[Case]) -> str | None:
    """Say why scores on recorrupted images are not to be relied on; None where they are, or have a truth."""
    acquired = [case.reference.pair.acquired for case in cases if isinstance(case.reference, Repeat)]
    images = acquired[:: max(1, len(acquired) // _MOST_CASES)][:_MOST_CASES]
    if not images:
        return None
    try:
        why = noise_in_doubt(images, estimate_noise(images), TrustLimits())
    except ImageError as refusal:
        why = f"the noise cannot be measured ({refusal})"
    return None if why is None else not_relied_on(why)
