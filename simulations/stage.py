"""What lies under a simulated microscope: fields of view of specimens, with their structures' classes."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import affine_transform

from model_library.images.frame import Grey
from model_library.specimens import Mask, Specimen, SpecimenKind, render
from model_library.wire.tasks import Segment, Task
from simulations.errors import ScenarioError
from simulations.scenario import Section, SiteScenario, Specimens

Classes = NDArray[np.uint8]
"""Axes [Y, X]; the number of each pixel's class, 0 is background."""

_SPECIMEN_WORD, _ORDER_WORD = 1, 3
_COMMON_WORDS = 2
"""Of a site's seed, those that are not its name: the stream and the seed of the run."""
_MOST_DRAWS = 50
_LARGEST_SHARE, _LEAST_CONTRAST = 0.5, 0.05
"""A stained structure covers less than this share, and is darker than the rest by at least this."""
_SHIFTS = 4
"""A specimen is this much of a frame's side wider than a frame: frames of one field overlap."""


@dataclass(frozen=True, slots=True)
class View:
    """What a perfect microscope would see.

    Attributes
    ----------
    field
        Name of the field of view.
    intensity
        float32 [Y, X] in [0, 1], at the sampling of a result.
    classes
        Class numbers, same axes; None where the task names none.
    """

    field: str
    intensity: Grey
    classes: Classes | None


def view(source: Specimens, site: SiteScenario, number: int, words: tuple[int, ...]) -> View:
    """Move the stage to where a frame is acquired.

    Parameters
    ----------
    number
        Of the frame, from 0.
    words
        Seed of the site; each field of view has a specimen of its own.

    Raises
    ------
    ScenarioError
        The specimen has no structure of a class that the task asks for.
    """
    visit, field = divmod(number, -(-site.frames // source.frames_per_field))
    scale = site.task.scale
    side = source.frame_px * scale
    if source.section is not None:
        specimen = _place_on(source, source.section, number, words)
        found = enlarged(specimen, side, source.magnification)
        return View(f"field-{number:04d}", found.intensity, classes_of(found.labels, site.task))
    margin = side // _SHIFTS // scale * scale if source.frames_per_field > 1 else 0
    rng = np.random.default_rng([*words, _SPECIMEN_WORD, field])
    specimen = prepared(source, side + margin, rng)
    start = margin * visit // max(source.frames_per_field - 1, 1)
    place = (slice(start, start + side), slice(start, start + side))
    classes = classes_of(specimen.labels, site.task)
    return View(f"field-{field:04d}", specimen.intensity[place], None if classes is None else classes[place])


def prepared(source: Specimens, side: int, rng: np.random.Generator) -> Specimen:
    """Draw specimens [side, side] until one looks as the staining makes it.

    Raises
    ------
    ScenarioError
        None does.
    """
    for _ in range(_MOST_DRAWS):
        specimen = magnified(source.specimen, side, source.magnification, rng)
        if source.stained is None or _is_dark(specimen, source.stained):
            return specimen
    raise ScenarioError(
        f"expected {source.specimen} with dark {source.stained}, found none in {_MOST_DRAWS}; "
        "name another structure"
    )


def _is_dark(specimen: Specimen, name: str) -> bool:
    mask = specimen.labels.get(name)
    if mask is None or not 0 < mask.mean() < _LARGEST_SHARE:
        return False
    darker = specimen.intensity[~mask].mean() - specimen.intensity[mask].mean()
    return bool(darker > _LEAST_CONTRAST)


def magnified(kind: SpecimenKind, side: int, magnification: float, rng: np.random.Generator) -> Specimen:
    """Draw a specimen [side, side] with structures that many times larger.

    The intensity is interpolated by cubic splines, masks by nearest neighbours.
    """
    small = _drawn_px(side, magnification)
    return enlarged(render(kind, (small, small), rng), side, magnification)


def enlarged(specimen: Specimen, side: int, magnification: float) -> Specimen:
    """Enlarge a specimen that was drawn for this side and magnification; see `magnified`."""
    if magnification == 1:
        return specimen
    step = 1 / magnification
    # The centre of pixel i of the enlarged image lies at (i + 0.5) / magnification - 0.5.
    offset = step / 2 - 0.5

    def resampled(pixels: NDArray[np.float32], order: Literal[0, 3]) -> NDArray[np.float32]:
        found: NDArray[np.float32] = affine_transform(
            pixels, [step, step], offset, output_shape=(side, side), order=order, mode="nearest"
        )
        return found

    labels = {name: resampled(mask.astype(np.float32), 0) > 0.5 for name, mask in specimen.labels.items()}
    return Specimen(np.clip(resampled(specimen.intensity, 3), 0, 1).astype(np.float32), labels)


def _drawn_px(side: int, magnification: float) -> int:
    return side if magnification == 1 else math.ceil(side / magnification) + 1


def _place_on(source: Specimens, section: Section, number: int, words: tuple[int, ...]) -> Specimen:
    """Cut one field of an instrument out of the section that it shares with others."""
    side = _drawn_px(source.frame_px, source.magnification)
    across = math.ceil(math.sqrt(section.parts * section.fields))
    seed = (*words[:_COMMON_WORDS], *section.name.encode())
    order = np.random.default_rng([*seed, _ORDER_WORD]).permutation(across * across)
    row, column = divmod(int(order[number * section.parts + section.part]), across)
    rows = slice(row * side, (row + 1) * side)
    columns = slice(column * side, (column + 1) * side)
    whole = _section(source.specimen, across * side, seed)
    labels = {name: mask[rows, columns] for name, mask in whole.labels.items()}
    return Specimen(whole.intensity[rows, columns], labels)


@lru_cache(maxsize=1)
def _section(kind: SpecimenKind, side: int, seed: tuple[int, ...]) -> Specimen:
    return render(kind, (side, side), np.random.default_rng([*seed, _SPECIMEN_WORD]))


def classes_of(labels: Mapping[str, Mask], task: Task) -> Classes | None:
    """Give each pixel the number of its class; None where the task does not segment.

    Raises
    ------
    ScenarioError
        A class of the task is none of the structures.
    """
    if not isinstance(task, Segment):
        return None
    found = np.zeros(next(iter(labels.values())).shape, np.uint8)
    for number, name in enumerate(task.classes[1:], start=1):
        if name not in labels:
            raise ScenarioError(
                f"expected classes among {', '.join(labels)}, found {name!r}; change the task or the specimen"
            )
        found[labels[name]] = number
    return found
