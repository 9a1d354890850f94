"""Clean micrographs and what a planted degradation leaves of them."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmark.cases import Case, Truth
from benchmark.real.sources import Part
from benchmark.real.table import Coarse, PlantedNoise, RealCase
from benchmark.real.windows import spread, windows
from model_library.degradation.operators import (
    Downsample,
    LocalVarianceNoise,
    ReadNoise,
    ShotNoise,
    block_mean,
)
from model_library.images.frame import Grey
from model_library.images.readers import read_micrograph

_LOW_PERCENTILE, _HIGH_PERCENTILE = 0.1, 99.9

Planted = PlantedNoise | Coarse


def planted_cases(
    case: RealCase, how: Planted, data: Path, part: Part, rng: np.random.Generator
) -> tuple[Case, ...]:
    """Degrade windows of the micrographs of a part; the truth is the window before."""
    cases = []
    for field, name, clean in clean_windows(case, how.bin, data, part, rng):
        acquired, truth = degrade(clean, how, rng)
        cases.append(Case(field, name, acquired, Truth.of(truth)))
    return tuple(cases)


def clean_windows(
    case: RealCase, binning: int, data: Path, part: Part, rng: np.random.Generator
) -> Iterator[tuple[str, str, Grey]]:
    """Cut the windows of a part, binned: (field of view, name, pixels [Y, X] in counts)."""
    tuning, divided = part is Part.TUNING, case.source.divided
    files = case.source.files(data, part)
    side, count = (case.tuning_px, 1) if tuning else (case.crop_px, case.windows)
    if divided:
        count = case.tuning_images if tuning else case.windows
    for path in spread(files, case.tuning_images) if tuning else files:
        pixels = read_micrograph(path).grey
        image = block_mean(pixels, binning) if binning > 1 else pixels
        shape = (image.shape[0], image.shape[1])
        chosen = windows(shape, side, count, rng, part if divided else None)
        for number, window in enumerate(chosen):
            name = f"{path.stem}#{number}" if len(chosen) > 1 else path.stem
            yield f"{part}:{name if divided else path.stem}", name, image[window]


def degrade(clean: Grey, how: Planted, rng: np.random.Generator) -> tuple[Grey, Grey]:
    """Acquire a clean image [Y, X] in counts anew: the acquired image, and the truth; both in counts.

    Unit intensity is the 99.9th percentile, no electrons the 0.1th; what lies beyond is cut off in the truth
    as well. Sides are cut to multiples of the scale.
    """
    scale = how.scale if isinstance(how, Coarse) else 1
    height, width = (side // scale * scale for side in clean.shape)
    low, high = np.percentile(clean, (_LOW_PERCENTILE, _HIGH_PERCENTILE))
    span = np.float32(max(float(high - low), 1e-6))
    unit = np.clip((clean[:height, :width] - np.float32(low)) / span, 0, 1).astype(np.float32)
    match how:
        case PlantedNoise():
            counted = ShotNoise(electrons_per_pixel=how.electrons_per_pixel).apply(unit, rng)
            acquired = ReadNoise(sigma=how.read_sigma).apply(counted, rng)
        case Coarse():
            noisy = LocalVarianceNoise(share=how.share, sigma_px=how.sigma_px).apply(unit, rng)
            acquired = Downsample(scale=how.scale).apply(noisy, rng)
    return acquired * span + np.float32(low), unit * span + np.float32(low)
