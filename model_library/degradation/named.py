"""Recipes by name: those published with PSSR, and common faults of electron microscopes.

Unit intensity 1 is 255 counts in the published ones, as in their 8-bit images. Ours leave the detector
headroom, so that noise is hardly ever clipped; doses are electrons per pixel at unit intensity.
"""

from collections.abc import Mapping
from types import MappingProxyType

from model_library.degradation.operators import (
    BaselineWander,
    Charging,
    Clip,
    Defocus,
    DetectorSpread,
    Digitise,
    Downsample,
    Drift,
    GaussianBlur,
    KeepMaximum,
    LocalVarianceNoise,
    Operator,
    ReadNoise,
    SaltPepper,
    ScanLineJitter,
    ShotNoise,
    Zoom,
)
from model_library.degradation.recipe import Recipe
from model_library.errors import RecipeError

_8_BITS = Digitise(bits=8, gain=170, offset=25)
_16_BITS = Digitise(bits=16, gain=30000, offset=4000)
_FULL_8_BITS = Digitise(bits=8, gain=255, offset=0)


def _recipe(*operators: Operator) -> Recipe:
    return Recipe(operators=operators)


def _pssr2(*operators: Operator) -> Recipe:
    return _recipe(Zoom(scale=4, antialias=True), *operators, _FULL_8_BITS)


_POISSON = ShotNoise(electrons_per_pixel=255)
_GAUSSIAN = ReadNoise(sigma=13 / 255)
_SALT_PEPPER = (SaltPepper(salt=0.0025, pepper=0.0025), Clip())

_NAMED: Mapping[str, Recipe] = MappingProxyType(
    {
        # Fang et al., Nat. Methods 2021: `em_AG_D_sameas_preprint` and `fluo_SP_AG_D_sameas_preprint`. The
        # noise functions of scikit-image clip to [0, 1].
        "pssr-em": _recipe(LocalVarianceNoise(share=0.05, sigma_px=3), Clip(), Zoom(scale=4), _FULL_8_BITS),
        "pssr-fluorescence": _recipe(
            KeepMaximum(
                operators=(
                    SaltPepper(salt=0.005, pepper=0),
                    SaltPepper(salt=0, pepper=0.005),
                    LocalVarianceNoise(share=0.5, sigma_px=5),
                    Clip(),
                )
            ),
            Zoom(scale=4),
            _FULL_8_BITS,
        ),
        # PSSR2 (UCSD Manor lab): its effects at their defaults, chained and one by one.
        "pssr2": _pssr2(_POISSON, _GAUSSIAN, *_SALT_PEPPER),
        "pssr2-poisson": _pssr2(_POISSON),
        "pssr2-gaussian": _pssr2(_GAUSSIAN),
        "pssr2-salt-pepper": _pssr2(*_SALT_PEPPER),
        "pssr2-blur": _pssr2(GaussianBlur(sigma_px=2)),
        "sem-low-dose": _recipe(ShotNoise(electrons_per_pixel=30), ReadNoise(sigma=0.02), _8_BITS),
        "sem-very-low-dose": _recipe(ShotNoise(electrons_per_pixel=8), ReadNoise(sigma=0.03), _16_BITS),
        "sem-read-noise": _recipe(ShotNoise(electrons_per_pixel=400), ReadNoise(sigma=0.10), _8_BITS),
        "sem-defocus": _recipe(
            Defocus(diameter_px=4), ShotNoise(electrons_per_pixel=100), ReadNoise(sigma=0.03), _16_BITS
        ),
        "sem-charging": _recipe(
            ShotNoise(electrons_per_pixel=60),
            Charging(share=0.05, sigma=0.2, length_px=60),
            BaselineWander(sigma=0.03, length_px=80),
            ReadNoise(sigma=0.02),
            _8_BITS,
        ),
        "sem-coarse-x2": _recipe(
            Downsample(scale=2), ShotNoise(electrons_per_pixel=120), ReadNoise(sigma=0.02), _8_BITS
        ),
        "sem-coarse-x4": _recipe(
            Downsample(scale=4), ShotNoise(electrons_per_pixel=400), ReadNoise(sigma=0.01), _8_BITS
        ),
        "stem-fast-scan": _recipe(
            Drift(y_px=1.0, x_px=3.0),
            ScanLineJitter(sigma_px=0.4),
            ShotNoise(electrons_per_pixel=40),
            ReadNoise(sigma=0.04),
            _16_BITS,
        ),
        "tem-low-dose": _recipe(
            ShotNoise(electrons_per_pixel=12),
            DetectorSpread(nyquist=0.4, halo_share=0.2, halo_px=8),
            ReadNoise(sigma=0.02),
            _16_BITS,
        ),
    }
)


def named_recipes() -> Mapping[str, Recipe]:
    """Return every named recipe, by name."""
    return _NAMED


def recipe(name: str) -> Recipe:
    """Return a named recipe.

    Raises
    ------
    RecipeError
        No recipe has this name.
    """
    try:
        return _NAMED[name]
    except KeyError:
        raise RecipeError(
            f"expected a recipe among {', '.join(_NAMED)}, found {name!r}; use one of these"
        ) from None
