"""What a pixel's surroundings look like, at several scales: the features of a pixel classifier."""

from collections.abc import Iterator

import numpy as np

from model_library.images.frame import Grey

SIGMAS_PX = (1.0, 2.0, 4.0, 8.0)
_OUTER = 1.6
"""Ratio of the two widths in a difference of Gaussians."""


def pixel_features(pixels: Grey) -> Iterator[Grey]:
    """Describe every pixel, on the unit scale: float32 [Y, X] -> 29 features, float32 [Y, X] each.

    The pixel itself, and at every scale sigma: the Gaussian mean, the difference of Gaussians (sigma and
    1.6 sigma), the gradient's length, both eigenvalues of the Hessian, and both of the structure tensor
    (gradients at sigma, averaged over 2 sigma), larger one first. Derivatives are multiplied by sigma to
    their order, so that scales compare.
    """
    yield pixels
    for sigma_px in SIGMAS_PX:
        yield from _at_scale(pixels, sigma_px)


def _at_scale(pixels: Grey, sigma_px: float) -> tuple[Grey, ...]:
    from scipy.ndimage import gaussian_filter

    def derived(order: tuple[int, int]) -> Grey:
        found = gaussian_filter(pixels, sigma_px, order=order, mode="reflect")
        return np.asarray(found * sigma_px ** sum(order), dtype=np.float32)

    def averaged(values: Grey, width_px: float) -> Grey:
        return np.asarray(gaussian_filter(values, width_px, mode="reflect"), dtype=np.float32)

    mean, down, across = derived((0, 0)), derived((1, 0)), derived((0, 1))
    tensor = [averaged(each, 2 * sigma_px) for each in (down * down, down * across, across * across)]
    return (
        mean,
        mean - averaged(pixels, _OUTER * sigma_px),
        np.hypot(down, across),
        *_eigenvalues(derived((2, 0)), derived((1, 1)), derived((0, 2))),
        *_eigenvalues(*tensor),
    )


def _eigenvalues(a: Grey, b: Grey, c: Grey) -> tuple[Grey, Grey]:
    """Of the symmetric matrices [[a, b], [b, c]], the larger one first."""
    half = np.float32(0.5)
    middle, spread = half * (a + c), np.hypot(half * (a - c), b)
    return np.asarray(middle + spread, dtype=np.float32), np.asarray(middle - spread, dtype=np.float32)
