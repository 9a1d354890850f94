"""What optics and detectors do to sharpness: blur that keeps the mean grey value."""

from collections.abc import Callable
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from scipy import fft, ndimage

from model_library.degradation.quantities import NotNegative, Positive, Share
from model_library.errors import RecipeError
from model_library.images.frame import Grey
from model_library.wire.base import Message

_FINE = 5
"""Sub-pixels along each axis by which the rim of a disc is smoothed."""


class GaussianBlur(Message):
    """A wide probe, or optics in general: convolution with a Gaussian of standard deviation `sigma_px`."""

    kind: Literal["gaussian_blur"] = "gaussian_blur"
    sigma_px: NotNegative

    def apply(self, pixels: Grey, rng: np.random.Generator) -> Grey:
        """Blur unit intensity [Y, X]; `rng` is not drawn from."""
        del rng
        return np.asarray(ndimage.gaussian_filter(pixels, self.sigma_px)) if self.sigma_px > 0 else pixels


class Defocus(Message):
    """Defocus in geometrical optics: the mean over a disc of confusion (Stokseth, J. Opt. Soc. Am. 1969).

    Its diameter is given in pixels of the image, or in nanometres on the specimen: then the recipe must be
    told the pixel size first (`Recipe.at_pixel_size`).
    """

    kind: Literal["defocus"] = "defocus"
    diameter_px: NotNegative | None = None
    diameter_nm: NotNegative | None = None

    @model_validator(mode="after")
    def _one_diameter(self) -> Self:
        if (self.diameter_px is None) == (self.diameter_nm is None):
            raise RecipeError(
                "expected the diameter of a defocus in pixels or in nanometres, found "
                f"{'neither' if self.diameter_px is None else 'both'}; give diameter_px or diameter_nm"
            )
        return self

    def at_pixel_size(self, pixel_size_nm: float) -> "Defocus":
        """Return the same defocus with its diameter in pixels of `pixel_size_nm` nanometres."""
        if self.diameter_nm is None:
            return self
        return Defocus(diameter_px=self.diameter_nm / pixel_size_nm)

    def apply(self, pixels: Grey, rng: np.random.Generator) -> Grey:
        """Blur unit intensity [Y, X]; `rng` is not drawn from.

        Raises
        ------
        RecipeError
            The diameter is in nanometres.
        """
        del rng
        if self.diameter_px is None:
            raise RecipeError(
                f"expected the pixel size of an image to defocus it by {self.diameter_nm:g} nm, found none; "
                "call `recipe.at_pixel_size(pixel_size_nm)` first"
            )
        if self.diameter_px <= 1:
            return pixels
        return np.asarray(ndimage.convolve(pixels, _disc(self.diameter_px), mode="reflect"))


class DetectorSpread(Message):
    """The point spread of a pixel detector, by its modulation transfer function.

    A Gaussian core that transfers `nyquist` of the modulation at the Nyquist frequency, and a wide halo
    (light or electrons scattered in a scintillator) of standard deviation `halo_px` that takes `halo_share`
    of the signal; compare De Ruijter, Micron 1995. It stands behind `shot_noise` where electrons are counted
    first and spread after, as in a scintillator camera: noise is then correlated between pixels.
    """

    kind: Literal["detector_spread"] = "detector_spread"
    nyquist: Annotated[float, Field(gt=0, le=1)] = 0.4
    halo_share: Share = 0.0
    halo_px: Positive = 8.0

    def transfer(self, frequency: NDArray[np.float64]) -> NDArray[np.float64]:
        """Share of the modulation that passes at spatial frequencies in cycles per pixel."""
        core = self.nyquist ** (2 * frequency) ** 2
        halo = np.exp(-2 * (np.pi * self.halo_px * frequency) ** 2)
        return np.asarray((1 - self.halo_share) * core + self.halo_share * halo)

    def apply(self, pixels: Grey, rng: np.random.Generator) -> Grey:
        """Spread unit intensity [Y, X], mirrored at its borders; `rng` is not drawn from."""
        del rng
        return _filtered(pixels, self.transfer)


def _disc(diameter_px: float) -> Grey:
    """Weights [K, K] of a disc that covers pixels in part at its rim; their sum is 1."""
    reach = int(np.ceil(diameter_px / 2))
    side = 2 * reach + 1
    # Whole numbers before the division, so that opposite places are exactly opposite.
    places = (2 * np.arange(side * _FINE) + 1 - side * _FINE) / (2 * _FINE)
    inside = np.hypot(places[:, None], places[None]) <= diameter_px / 2
    weights = inside.reshape(side, _FINE, side, _FINE).mean(axis=(1, 3))
    return np.asarray(weights / weights.sum(), dtype=np.float32)


def _filtered(pixels: Grey, transfer: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Grey:
    """Multiply the cosine spectrum of an image [Y, X] (mirrored at its borders) by a transfer function."""
    y, x = (np.arange(side) / (2 * side) for side in pixels.shape)
    spectrum = fft.dctn(pixels.astype(np.float64)) * transfer(np.hypot(y[:, None], x[None]))
    return np.asarray(fft.idctn(spectrum), dtype=np.float32)
