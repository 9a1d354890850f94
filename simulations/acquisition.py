"""One frame as a microscope acquires it: a field of view, degraded to counts."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from model_library.degradation.operators import Digitise
from model_library.degradation.recipe import Recipe
from model_library.images.frame import Frame, Grey
from model_library.specimens import render
from simulations.micrograph_files import read_pages, unit_intensity
from simulations.scenario import SEED_STREAM, Crop, Micrographs, SiteScenario, Specimens

_SPECIMEN_WORD, _NOISE_WORD = 1, 2
_SHIFTS = 4
"""A specimen is this much of a frame's side wider than a frame: frames of one field overlap."""


@dataclass(frozen=True, slots=True)
class Acquired:
    """A frame and, where it is known, its truth.

    Attributes
    ----------
    frame
        Counts, uint8 or uint16 [Y, X].
    truth
        What a noise-free detector would count, float32 [Y * scale, X * scale]; None where unknown.
    """

    frame: Frame
    truth: Frame | None


def acquire(site: SiteScenario, number: int, seed: int) -> Acquired:
    """Acquire a site's frame, always the same for the same arguments.

    Parameters
    ----------
    site
        What is looked at, and how.
    number
        From 0.
    seed
        Of the run; noise and specimens of other sites and frames are independent.
    """
    # The name keeps two sites apart whatever their order.
    words = (SEED_STREAM, seed, *site.name.encode())
    rng = np.random.default_rng([*words, _NOISE_WORD, number])
    match site.source:
        case Specimens() as source:
            field, intensity = _view(source, site, number, words)
        case Micrographs() as source:
            crop = source.crops[number]
            if site.recipe is None:
                return _as_it_is(crop, site)
            field, intensity = crop.field, _cut(unit_intensity(_pages(crop.file)[crop.page]), crop)
    assert site.recipe is not None
    detector = _detector(site.recipe)
    counts = site.recipe.apply(intensity, rng).astype(np.uint8 if detector.bits == 8 else np.uint16)
    told = {"simulated": "yes", "instrument": site.name}
    frame = Frame(counts, site.pixel_size_nm, field, told)
    finer = site.pixel_size_nm / site.task.scale if site.pixel_size_nm else None
    return Acquired(frame, Frame(noise_free(site.recipe, intensity), finer, field))


def noise_free(recipe: Recipe, intensity: Grey) -> Grey:
    """Count [Y, X] as a noise-free detector of full sampling would, before rounding."""
    detector = _detector(recipe)
    return (intensity * np.float32(detector.gain) + np.float32(detector.offset)).astype(np.float32)


def _detector(recipe: Recipe) -> Digitise:
    detector = recipe.operators[-1]
    assert isinstance(detector, Digitise), "a scenario's recipe ends in counts"
    return detector


def _view(source: Specimens, site: SiteScenario, number: int, words: tuple[int, ...]) -> tuple[str, Grey]:
    visit, field = divmod(number, -(-site.frames // source.frames_per_field))
    scale = site.task.scale
    side = source.frame_px * scale
    margin = side // _SHIFTS // scale * scale if source.frames_per_field > 1 else 0
    rng = np.random.default_rng([*words, _SPECIMEN_WORD, field])
    specimen = render(source.specimen, (side + margin, side + margin), rng).intensity
    start = margin * visit // max(source.frames_per_field - 1, 1)
    return f"field-{field:04d}", specimen[start : start + side, start : start + side]


@lru_cache(maxsize=2)
def _pages(path: Path) -> list[Frame]:
    return read_pages(path)


def _cut(pixels: Grey, crop: Crop, scale: int = 1) -> Grey:
    rows = slice(crop.y * scale, (crop.y + crop.height) * scale)
    return pixels[rows, crop.x * scale : (crop.x + crop.width) * scale]


def _as_it_is(crop: Crop, site: SiteScenario) -> Acquired:
    page = _pages(crop.file)[crop.page]
    frame = Frame(_cut(page.pixels, crop), site.pixel_size_nm, crop.field, {"instrument": site.name})
    if crop.truth is None:
        return Acquired(frame, None)
    truth = _cut(_pages(crop.truth)[crop.page].grey, crop, site.task.scale)
    return Acquired(frame, Frame(truth, None, crop.field))
