"""One frame as a microscope acquires it: a field of view, degraded to counts."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from model_library.degradation.operators import Digitise
from model_library.degradation.recipe import Recipe
from model_library.images.frame import Frame, Grey
from model_library.wire.tasks import Segment
from simulations.micrograph_files import read_pages, unit_intensity
from simulations.scenario import SEED_STREAM, Crop, Micrographs, SiteScenario, Specimens
from simulations.stage import Classes, View, view

_NOISE_WORD = 2


@dataclass(frozen=True, slots=True)
class Acquired:
    """A frame and, where it is known, its truth.

    Attributes
    ----------
    frame
        Counts, uint8 or uint16 [Y, X].
    truth
        What a noise-free detector would count, float32 [Y * scale, X * scale]; for segmentation
        class numbers, uint8 [Y, X]; None where unknown.
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
    recipe = site.recipe_at(number)
    match site.source:
        case Specimens() as source:
            seen = view(source, site, number, words)
        case Micrographs() as source:
            crop = source.crops[number]
            if recipe is None:
                return _as_it_is(crop, site)
            intensity = _cut(unit_intensity(_pages(crop.file)[crop.page]), crop)
            seen = View(crop.field, intensity, _labelled(crop, site))
    assert recipe is not None
    detector = _detector(recipe)
    rng = np.random.default_rng([*words, _NOISE_WORD, number])
    counts = recipe.apply(seen.intensity, rng).astype(np.uint8 if detector.bits == 8 else np.uint16)
    told = {"simulated": "yes", "instrument": site.name}
    return Acquired(Frame(counts, site.pixel_size_nm, seen.field, told), _truth(site, seen, recipe))


def noise_free(recipe: Recipe, intensity: Grey) -> Grey:
    """Count [Y, X] as a noise-free detector of full sampling would, before rounding."""
    detector = _detector(recipe)
    return (intensity * np.float32(detector.gain) + np.float32(detector.offset)).astype(np.float32)


def _truth(site: SiteScenario, seen: View, recipe: Recipe) -> Frame | None:
    if isinstance(site.task, Segment):
        return None if seen.classes is None else Frame(seen.classes, site.pixel_size_nm, seen.field)
    finer = site.pixel_size_nm / site.task.scale if site.pixel_size_nm else None
    return Frame(noise_free(recipe, seen.intensity), finer, seen.field)


def _detector(recipe: Recipe) -> Digitise:
    detector = recipe.operators[-1]
    assert isinstance(detector, Digitise), "a scenario's recipe ends in counts"
    return detector


@lru_cache(maxsize=4)
def _pages(path: Path) -> list[Frame]:
    return read_pages(path)


def _cut(pixels: Grey, crop: Crop, scale: int = 1) -> Grey:
    rows = slice(crop.y * scale, (crop.y + crop.height) * scale)
    return pixels[rows, crop.x * scale : (crop.x + crop.width) * scale]


def _labelled(crop: Crop, site: SiteScenario) -> Classes | None:
    """Class numbers of a crop: as its mask has them, or 1 where a mask of two classes is not 0."""
    if crop.truth is None or not isinstance(site.task, Segment):
        return None
    mask = _cut(_pages(crop.truth)[crop.page].grey, crop)
    return (mask > 0).astype(np.uint8) if len(site.task.classes) == 2 else mask.astype(np.uint8)


def _as_it_is(crop: Crop, site: SiteScenario) -> Acquired:
    page = _pages(crop.file)[crop.page]
    frame = Frame(_cut(page.pixels, crop), site.pixel_size_nm, crop.field, {"instrument": site.name})
    if crop.truth is None:
        return Acquired(frame, None)
    labelled = _labelled(crop, site)
    if labelled is not None:
        return Acquired(frame, Frame(labelled, site.pixel_size_nm, crop.field))
    truth = _cut(_pages(crop.truth)[crop.page].grey, crop, site.task.scale)
    return Acquired(frame, Frame(truth, None, crop.field))
