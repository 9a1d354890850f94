"""What goes wrong while a beam scans: lines and frames that move, surfaces that charge.

Rows [Y] follow each other slowly; within a row the beam runs along x, the fast scan axis.
"""

from typing import Literal, Self

import numpy as np
from pydantic import model_validator
from scipy import ndimage

from model_library.degradation.quantities import NotNegative, Positive, Share
from model_library.errors import RecipeError
from model_library.images.frame import Grey
from model_library.wire.base import Message


class ScanLineJitter(Message):
    """Vibration and flyback error: each row is displaced along x by a Gaussian shift of `sigma_px`."""

    kind: Literal["scan_line_jitter"] = "scan_line_jitter"
    sigma_px: NotNegative

    def apply(self, pixels: Grey, rng: np.random.Generator) -> Grey:
        """Displace rows of unit intensity [Y, X], interpolated linearly; borders repeat the last pixel."""
        shift = rng.normal(0, self.sigma_px, (pixels.shape[0], 1)).astype(np.float32)
        place = np.clip(np.arange(pixels.shape[1], dtype=np.float32) + shift, 0, pixels.shape[1] - 1)
        left = np.minimum(place.astype(np.intp), max(pixels.shape[1] - 2, 0))
        right = np.minimum(left + 1, pixels.shape[1] - 1)
        weight = place - left.astype(np.float32)
        near, far = np.take_along_axis(pixels, left, axis=1), np.take_along_axis(pixels, right, axis=1)
        return np.asarray(near * (1 - weight) + far * weight, dtype=np.float32)


class Drift(Message):
    """The stage moves while the frame is scanned: row by row further, in all by (`y`, `x`) at the last row.

    Given in pixels of the image, or in nanometres on the specimen: then the recipe must be told the pixel
    size first (`Recipe.at_pixel_size`). Positive values look further down and to the right.
    """

    kind: Literal["drift"] = "drift"
    y_px: float | None = None
    x_px: float | None = None
    y_nm: float | None = None
    x_nm: float | None = None

    @model_validator(mode="after")
    def _one_unit(self) -> Self:
        in_px, in_nm = (self.y_px, self.x_px), (self.y_nm, self.x_nm)
        if (
            (None in in_px) == (None in in_nm)
            or (None in in_px and in_px != (None, None))
            or (None in in_nm and in_nm != (None, None))
        ):
            raise RecipeError(
                f"expected a drift as y_px and x_px, or as y_nm and x_nm, found {in_px} px and {in_nm} nm; "
                "give one of the two pairs, whole"
            )
        return self

    def at_pixel_size(self, pixel_size_nm: float) -> "Drift":
        """Return the same drift in pixels of `pixel_size_nm` nanometres."""
        if self.y_nm is None or self.x_nm is None:
            return self
        return Drift(y_px=self.y_nm / pixel_size_nm, x_px=self.x_nm / pixel_size_nm)

    def apply(self, pixels: Grey, rng: np.random.Generator) -> Grey:
        """Displace rows of unit intensity [Y, X], interpolated linearly; borders repeat the last pixel.

        Raises
        ------
        RecipeError
            The drift is in nanometres.
        """
        del rng
        if self.y_px is None or self.x_px is None:
            raise RecipeError(
                f"expected the pixel size of an image that drifts by ({self.y_nm}, {self.x_nm}) nm, found "
                "none; call `recipe.at_pixel_size(pixel_size_nm)` first"
            )
        rows, columns = np.indices(pixels.shape, dtype=np.float32)
        share = rows / max(pixels.shape[0] - 1, 1)
        places = [rows + np.float32(self.y_px) * share, columns + np.float32(self.x_px) * share]
        return np.asarray(ndimage.map_coordinates(pixels, places, order=1, mode="nearest"))


class Charging(Message):
    """Streaks of charge: in `share` of the rows the signal jumps at some place and relaxes along the row.

    The jump is Gaussian, bright or dark, of standard deviation `sigma`; it decays over `length_px`.
    """

    kind: Literal["charging"] = "charging"
    share: Share
    sigma: NotNegative
    length_px: Positive

    def apply(self, pixels: Grey, rng: np.random.Generator) -> Grey:
        """Add streaks to unit intensity [Y, X]; their mean is 0."""
        rows, columns = pixels.shape
        struck = rng.random((rows, 1)) < self.share
        start = rng.uniform(0, columns, (rows, 1))
        jump = rng.normal(0, self.sigma, (rows, 1)) * struck
        behind = np.arange(columns)[None] - start
        streaks = np.where(behind >= 0, jump * np.exp(-np.maximum(behind, 0) / self.length_px), 0)
        return np.asarray(pixels + streaks, dtype=np.float32)


class BaselineWander(Message):
    """A slow change of the offset within each row, as of charge that leaks away or of an amplifier.

    A Gaussian process of standard deviation `sigma`, smooth over `length_px` along x, anew in every row.
    """

    kind: Literal["baseline_wander"] = "baseline_wander"
    sigma: NotNegative
    length_px: Positive

    def apply(self, pixels: Grey, rng: np.random.Generator) -> Grey:
        """Add the wander to unit intensity [Y, X]; its mean is 0."""
        margin = int(np.ceil(4 * self.length_px))
        white = rng.standard_normal((pixels.shape[0], pixels.shape[1] + 2 * margin))
        smooth = ndimage.gaussian_filter1d(white, self.length_px, axis=1)[
            :, margin : margin + pixels.shape[1]
        ]
        weights = ndimage.gaussian_filter1d(_impulse(margin), self.length_px)
        spread = np.sqrt(np.sum(weights**2))
        return np.asarray(pixels + self.sigma / spread * smooth, dtype=np.float32)


def _impulse(reach: int) -> "np.typing.NDArray[np.float64]":
    impulse = np.zeros(2 * reach + 1)
    impulse[reach] = 1
    return impulse
