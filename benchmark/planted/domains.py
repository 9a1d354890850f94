"""Planted instruments: specimens, magnifications, optics and doses that no recipe of the library has."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from benchmark.cases import Case, Labels, Truth
from benchmark.look import Look
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
    look
        Whether that structure is brighter or darker than the rest, and most of what the grey values show;
        other specimens are left out, for of phases that look alike no network could know. None: as it comes.
    """

    name: str
    kind: SpecimenKind
    zoom: float
    optics: Recipe
    detection: Recipe
    label: str | None = None
    look: Look | None = None

    def fields(self, count: int, rng: np.random.Generator, side_px: int = SIDE_PX) -> tuple[Case, ...]:
        """Acquire one specimen and cut it into `count` fields [side_px, side_px] in counts.

        The reference of each is its hidden truth: the image before detection, or the structure's mask.
        """
        across = math.isqrt(count - 1) + 1
        look = {f"only_{self.look}": self.label} if self.look else {}
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
        specimen = next(each for each in draws if not (self.look and self.label) or _shows(each, self.label))
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
            Domain(
                "alloy, few electrons",
                SpecimenKind.PRECIPITATES,
                1.65,
                _through(GainOffset(gain=0.7, offset=0.15)),
                _through(ShotNoise(electrons_per_pixel=15), _CAMERA),
                "precipitate",
                Look.BRIGHT,
            ),
            Domain(
                "alloy, dark phase",
                SpecimenKind.PRECIPITATES,
                1.65,
                _through(GainOffset(gain=0.7, offset=0.15)),
                _through(ShotNoise(electrons_per_pixel=6), BaselineWander(sigma=0.02, length_px=60), _CAMERA),
                "precipitate",
                Look.DARK,
            ),
            Domain(
                "bubbles, few electrons",
                SpecimenKind.CAVITIES,
                1.7,
                _through(Defocus(diameter_px=3), GainOffset(gain=0.7, offset=0.15)),
                _through(ShotNoise(electrons_per_pixel=15), _CAMERA),
                "cavity",
            ),
            Domain(
                "loops, pale and charging",
                SpecimenKind.DISLOCATIONS,
                1.6,
                _through(GainOffset(gain=0.3, offset=0.4)),
                _through(
                    Drift(y_px=3, x_px=2),
                    ShotNoise(electrons_per_pixel=3000),
                    Charging(share=0.1, sigma=0.03, length_px=40),
                    _CAMERA,
                ),
                "loop",
            ),
            Domain(
                "crystal, jittered",
                SpecimenKind.ATOMS,
                1.8,
                _through(GaussianBlur(sigma_px=1.5)),
                _through(
                    ScanLineJitter(sigma_px=1.0),
                    ShotNoise(electrons_per_pixel=8),
                    SaltPepper(salt=0.002, pepper=0.002),
                    _EIGHT_BITS,
                ),
                "column",
                Look.BRIGHT,
            ),
        ),
    }
)
"""By task; each of the operators' settings, zooms or kinds lies outside of the ranges of every recipe."""
