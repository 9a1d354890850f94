"""Whether a frame's pixels have the size that a network was made for, and what to do where not."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from model_library.errors import UnfitPixelSize
from model_library.images.frame import Grey

PixelPolicy = Literal["resample", "refuse", "ignore"]
"""What becomes of a frame whose pixels do not fit."""

TOLERANCE = 0.1
"""A pixel size this far outside of a network's range still fits."""

LARGEST_FACTOR = 2.0
"""More resampling than this invents or throws away too much: then the network is the wrong one."""

_ROUNDING = 1e-9
_SIGMA_PX = 0.5
"""Blur that a sampled image is taken to have (Lowe 2004), in its pixels; thinning out adds up to it."""


@dataclass(frozen=True, slots=True)
class PixelFit:
    """A decision.

    Attributes
    ----------
    action
        `as_is`, `resample` or `refuse`.
    found_nm
        Side of the frame's pixels; None where unknown.
    wanted_nm
        Range of the network's card; None where it states none.
    factor
        Pixels that one pixel becomes along each axis: 1 unless `action` is `resample`.
    words
        Why, for provenance and refusals.
    """

    action: Literal["as_is", "resample", "refuse"]
    found_nm: float | None
    wanted_nm: tuple[float, float] | None
    factor: float
    words: str

    @property
    def fitted_nm(self) -> float | None:
        """Side of the pixels that the network sees, in nanometres."""
        return None if self.found_nm is None else self.found_nm / self.factor

    def as_provenance(self) -> dict[str, Any]:
        """JSON values by name."""
        return {
            "action": self.action,
            "found_nm": self.found_nm,
            "wanted_nm": None if self.wanted_nm is None else list(self.wanted_nm),
            "factor": self.factor,
            "words": self.words,
        }


def fit_pixels(
    found_nm: float | None, wanted_nm: tuple[float, float] | None, policy: PixelPolicy = "resample"
) -> PixelFit:
    """Decide what to do with a frame's pixels; pure.

    Parameters
    ----------
    found_nm
        Side of the frame's pixels.
    wanted_nm
        Smallest and largest side that the network was made for.
    policy
        `resample`: to the nearer end of the range, up to a factor of two either way, and refuse beyond;
        `refuse`: whatever is more than 10 % outside; `ignore`: leave all as it is.
    """
    if found_nm is None or wanted_nm is None:
        silent = "frame" if found_nm is None else "method"
        return PixelFit("as_is", found_nm, wanted_nm, 1.0, f"unknown: the {silent} states no pixel size")
    low, high = wanted_nm
    told = f"pixels of {found_nm:.4g} nm, network made for {low:.4g} to {high:.4g} nm"
    if low / (1 + TOLERANCE) - _ROUNDING <= found_nm <= high * (1 + TOLERANCE) + _ROUNDING:
        return PixelFit("as_is", found_nm, wanted_nm, 1.0, f"fits: {told}")
    if policy == "ignore":
        return PixelFit("as_is", found_nm, wanted_nm, 1.0, f"ignored: {told}")
    factor = found_nm / (low if found_nm < low else high)
    within = 1 / LARGEST_FACTOR - _ROUNDING <= factor <= LARGEST_FACTOR + _ROUNDING
    if policy == "resample" and within:
        return PixelFit("resample", found_nm, wanted_nm, factor, f"resampled by {factor:.4g}: {told}")
    return PixelFit("refuse", found_nm, wanted_nm, 1.0, f"refused: {told}")


def refuse_unfit(fit: PixelFit, name: str) -> None:
    """Turn a decision to refuse into a refusal.

    Raises
    ------
    UnfitPixelSize
        With the sizes and the remedy.
    """
    if fit.action == "refuse" and fit.wanted_nm is not None:
        low, high = fit.wanted_nm
        raise UnfitPixelSize(
            f"{name}: expected pixels of {low:.4g} to {high:.4g} nm, found {fit.found_nm:.4g} nm; "
            "choose a network for this magnification, or acquire at another"
        )


def resample(pixels: Grey, factor: float, shape: tuple[int, int] | None = None) -> Grey:
    """Sample an image anew, on a grid that begins at the same corner.

    Cubic splines (Unser 1999); before thinning out, a Gaussian of 0.5 sqrt(1 / factor^2 - 1) pixels
    takes away what the coarser grid cannot carry.

    Parameters
    ----------
    pixels
        float32 [Y, X], counts.
    factor
        Pixels that one becomes along each axis, > 0.
    shape
        Of the result, where not [round(Y * factor), round(X * factor)] with sides of at least 1: what
        came from a grid goes back to all of it.

    Returns
    -------
    float32 [Y, X], counts; the distance of pixels is that of the input divided by `factor`, exactly.
    Beyond the input its edge goes on. A factor of 1 gives the input.
    """
    if factor == 1:
        return pixels
    # Hundreds of milliseconds, which most frames and the command line need not spend.
    from scipy import ndimage

    source = pixels.astype(np.float32, copy=False)
    if factor < 1:
        sigma = _SIGMA_PX * (1 / factor**2 - 1) ** 0.5
        source = ndimage.gaussian_filter(source, sigma, mode="reflect")
    wanted = shape or _shape_after(pixels.shape, factor)
    # Centres of pixels, not corners, are at whole numbers.
    offset = (1 / factor - 1) / 2
    step = np.full(2, 1 / factor)
    sampled: Grey = ndimage.affine_transform(
        source, step, offset=offset, output_shape=wanted, order=3, mode="nearest"
    ).astype(np.float32)
    return sampled


def resample_labels(labels: Grey, factor: float, shape: tuple[int, int]) -> Grey:
    """Sample numbers of classes or objects [Y, X] on the grid of `resample`: each takes the nearest."""
    rows, columns = (
        np.minimum(((np.arange(side) + 0.5) / factor).astype(int), length - 1)
        for side, length in zip(shape, labels.shape, strict=True)
    )
    nearest: Grey = labels[np.ix_(rows, columns)]
    return nearest


def _shape_after(shape: tuple[int, ...], factor: float) -> tuple[int, ...]:
    return tuple(max(1, round(side * factor)) for side in shape)
