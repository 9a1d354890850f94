"""Planted instruments: specimens, magnifications, optics and doses that no recipe of the library has."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from benchmark.cases import Case, Labels, Truth
from benchmark.planted.library import PlantedTask
from model_library.degradation.detection import (
    Digitise,
    GainOffset,
    LocalVarianceNoise,
    ReadNoise,
    SaltPepper,
    ShotNoise,
)
from model_library.degradation.optics import Defocus, GaussianBlur
from model_library.degradation.recipe import Recipe
from model_library.degradation.scanning import BaselineWander, Charging, Drift, ScanLineJitter
from model_library.specimens import Specimen, SpecimenKind
from model_library.zoo.pools import simulated
from model_library.zoo.recipe import SpecimenPool

SIDE_PX = 256
"""Side of a field of view."""

_SHARES, _EXPLAINED, _MOST_DRAWS = (0.08, 0.45), 0.5, 200
"""Of a specimen whose structure is to be found: its area, its share of the variance; draws of one."""


@dataclass(frozen=True)
class Domain:
    """A planted instrument.

    Attributes
    ----------
    kind
        What is on its stage.
    zoom
        Pixels per pixel of the generator: other than in the recipes.
    optics
        From the specimen to the truth: contrast and sharpness, which belong to what is to be restored.
    detection
        From the truth to what is acquired; ends in counts.
    label
        The structure that segmenting networks are to find; None for restoration.
    dark
        Whether that structure is darker than the rest; specimens of the other look are left out.
    """

    name: str
    kind: SpecimenKind
    zoom: float
    optics: Recipe
    detection: Recipe
    label: str | None = None
    dark: bool = False

    def fields(self, count: int, rng: np.random.Generator, side_px: int = SIDE_PX) -> tuple[Case, ...]:
        """Acquire one specimen and cut it into `count` fields [side_px, side_px] in counts.

        The reference of each is its hidden truth: the image before detection, or the structure's mask. Of
        specimens whose structure is to be found, the first is taken whose structure is what its grey values
        show: of other phases that look alike no network could know.
        """
        across = math.isqrt(count - 1) + 1
        look = {"only_dark" if self.dark else "only_bright": self.label} if self.label else {}
        pool = SpecimenPool.model_validate(
            {
                "kinds": (self.kind,),
                "images": 1,
                "side_px": across * side_px,
                "zoom": (self.zoom, self.zoom),
                **look,
            }
        )
        draws = (simulated(pool, rng)[0] for _ in range(_MOST_DRAWS))
        specimen = next(each for each in draws if self.label is None or _shows(each, self.label))
        clean = self.optics.apply(specimen.intensity, rng)
        acquired = self.detection.apply(clean, rng)
        counts = self.detection.operators[-1]
        assert isinstance(counts, Digitise)
        truth = np.float32(counts.gain) * clean + np.float32(counts.offset)
        cases = []
        for number in range(count):
            top, left = (side_px * place for place in divmod(number, across))
            cut = (slice(top, top + side_px), slice(left, left + side_px))
            reference = (
                Truth.of(truth[cut]) if self.label is None else Labels(specimen.labels[self.label][cut])
            )
            cases.append(Case(f"field {number}", f"{self.name}, field {number}", acquired[cut], reference))
        return tuple(cases)


def _shows(specimen: Specimen, label: str) -> bool:
    """Tell whether a structure covers a fair share of a specimen and most of the grey values' variance."""
    mask, pixels = specimen.labels[label], specimen.intensity
    share = float(mask.mean())
    gap = float(pixels[mask].mean() - pixels[~mask].mean())
    explained = share * (1 - share) * gap**2 / float(pixels.var())
    return _SHARES[0] <= share <= _SHARES[1] and explained >= _EXPLAINED


_CAMERA = Digitise(bits=16, gain=20000, offset=500)
_EIGHT_BITS = Digitise(bits=8, gain=190, offset=30)


def _through(*operators: object) -> Recipe:
    return Recipe.model_validate({"operators": operators})


def _alloy(name: str, zoom: float, optics: Recipe, detection: Recipe, *, dark: bool = False) -> Domain:
    return Domain(name, SpecimenKind.PRECIPITATES, zoom, optics, detection, "precipitate", dark)


DOMAINS: Mapping[PlantedTask, tuple[Domain, ...]] = MappingProxyType(
    {
        "denoise": (
            Domain(
                "voids out of focus",
                SpecimenKind.CAVITIES,
                0.5,
                _through(Defocus(diameter_px=3), GainOffset(gain=0.5, offset=0.25)),
                _through(ShotNoise(electrons_per_pixel=15), _CAMERA),
            ),
            Domain(
                "dislocations, few electrons",
                SpecimenKind.DISLOCATIONS,
                1.6,
                _through(GainOffset(gain=0.8, offset=0.1)),
                _through(ShotNoise(electrons_per_pixel=2.5), _CAMERA),
            ),
            Domain(
                "cracks, long dwell",
                SpecimenKind.CRACKS,
                1.6,
                _through(GainOffset(gain=0.7, offset=0.15)),
                _through(ShotNoise(electrons_per_pixel=3000), ReadNoise(sigma=0.004), _CAMERA),
            ),
            Domain(
                "loops behind an amplifier",
                SpecimenKind.DISLOCATIONS,
                0.5,
                _through(GaussianBlur(sigma_px=2.0), GainOffset(gain=0.6, offset=0.2)),
                _through(ReadNoise(sigma=0.3), _CAMERA),
            ),
            Domain(
                "oxide, photomultiplier",
                SpecimenKind.CRACKS,
                0.5,
                _through(Defocus(diameter_px=2)),
                _through(
                    LocalVarianceNoise(share=0.04, sigma_px=1),
                    Charging(share=0.1, sigma=0.05, length_px=40),
                    _EIGHT_BITS,
                ),
            ),
        ),
        "segment": (
            _alloy(
                "alloy, few electrons",
                1.65,
                _through(GainOffset(gain=0.7, offset=0.15)),
                _through(ShotNoise(electrons_per_pixel=15), _CAMERA),
            ),
            _alloy(
                "alloy, dark phase",
                1.65,
                _through(GainOffset(gain=0.7, offset=0.15)),
                _through(
                    ShotNoise(electrons_per_pixel=20), BaselineWander(sigma=0.02, length_px=60), _CAMERA
                ),
                dark=True,
            ),
            _alloy(
                "alloy, fine and out of focus",
                0.6,
                _through(Defocus(diameter_px=4)),
                _through(ShotNoise(electrons_per_pixel=35), ReadNoise(sigma=0.02), _CAMERA),
            ),
            _alloy(
                "alloy, pale and charging",
                1.65,
                _through(GainOffset(gain=0.35, offset=0.4)),
                _through(
                    Drift(y_px=3, x_px=2),
                    ShotNoise(electrons_per_pixel=150),
                    Charging(share=0.3, sigma=0.12, length_px=100),
                    _CAMERA,
                ),
            ),
            Domain(
                "powder",
                SpecimenKind.PARTICLES,
                1.5,
                _through(GaussianBlur(sigma_px=1.5)),
                _through(
                    ScanLineJitter(sigma_px=1.0),
                    ReadNoise(sigma=0.16),
                    SaltPepper(salt=0.002, pepper=0.002),
                    _EIGHT_BITS,
                ),
                "particle",
            ),
        ),
    }
)
"""By task; each of the operators' settings, zooms or kinds lies outside of the ranges of every recipe."""
