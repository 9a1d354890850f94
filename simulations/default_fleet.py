"""The fleet that the demo simulates where no micrographs are given: six sites, four of them a cohort."""

from typing import NamedTuple

from model_library.degradation.operators import Downsample, Operator, ShotNoise
from model_library.degradation.recipe import Recipe
from model_library.specimens import SpecimenKind
from model_library.wire.tasks import Denoise, Segment, SuperResolve, Task
from simulations.scenario import Change, Scenario, Section, SiteScenario, Specimens, Writing, digitise

_LONGER = 1.4
"""A site that changes half-way acquires more frames, so that both halves suffice for a campaign."""


class _Instrument(NamedTuple):
    """One row: dose in electrons per pixel at full intensity, pixel size as acquired.

    `drops_to` is the dose of the second half of the frames. `federates` False: the owner takes no part.
    `stained`: a structure that is dark on every specimen. `section`: the one that it shares with others.
    """

    name: str
    task: Task
    specimen: SpecimenKind
    magnification: float
    dose: float
    bits: int
    pixel_size_nm: float
    frame_px: int = 320
    federates: bool = True
    drops_to: float | None = None
    writing: Writing = Writing.GROWING
    stained: str | None = None
    section: str | None = None


_CELLS, _PARTICLES = SpecimenKind.CELLS, SpecimenKind.PARTICLES
_TISSUE = "tissue"
_MEMBRANES = Segment(classes=("background", "membrane"))
_FLEET = (
    _Instrument("cortex", Denoise(), _CELLS, 2.5, 24, 16, 4.0, section=_TISSUE),
    _Instrument("cerebellum", Denoise(), _CELLS, 2.5, 32, 16, 5.0, section=_TISSUE),
    _Instrument("retina", Denoise(), _CELLS, 2.5, 44, 16, 3.5, section=_TISSUE, drops_to=10),
    _Instrument("archive", Denoise(), _CELLS, 2.5, 28, 16, 4.0, section=_TISSUE, federates=False),
    _Instrument("particles", SuperResolve(scale=2), _PARTICLES, 1, 250, 16, pixel_size_nm=2.0, frame_px=192),
    _Instrument("tissue", _MEMBRANES, _CELLS, 1, 40, 8, 4.0, writing=Writing.RENAMED, stained="membrane"),
)


def default_scenario(seed: int, frames: int) -> Scenario:
    """Simulate six instruments.

    Four of a cohort denoise: one of them loses dose half-way and one takes no part in federations.
    One super-resolves, one segments.

    Parameters
    ----------
    seed
        Of specimens and noise.
    frames
        Per site; a site that changes half-way acquires 40 % more.
    """
    return Scenario(seed=seed, sites=tuple(_site(each, frames) for each in _FLEET))


def _section(row: _Instrument, frames: int) -> Section | None:
    if row.section is None:
        return None
    sharing = [each.name for each in _FLEET if each.section == row.section]
    room = round(frames * _LONGER)
    return Section(name=row.section, part=sharing.index(row.name), parts=len(sharing), fields=room)


def _site(row: _Instrument, frames: int) -> SiteScenario:
    change, section = None, _section(row, frames)
    if row.drops_to is not None:
        frames = round(frames * _LONGER)
        words = f"from frame {frames // 2 + 1} on the dose is {row.drops_to:g} electrons per pixel"
        change = Change(at_frame=frames // 2, recipe=_recipe(row, row.drops_to), told=words)
    return SiteScenario(
        name=row.name,
        task=row.task,
        source=Specimens(
            specimen=row.specimen,
            frame_px=row.frame_px,
            magnification=row.magnification,
            stained=row.stained,
            section=section,
        ),
        recipe=_recipe(row, row.dose),
        pixel_size_nm=row.pixel_size_nm,
        frames=frames,
        writing=row.writing,
        federates=row.federates,
        change=change,
        told=_in_words(row, change),
    )


def _recipe(row: _Instrument, dose: float) -> Recipe:
    coarser: tuple[Operator, ...] = (Downsample(scale=row.task.scale),) if row.task.scale > 1 else ()
    return Recipe(operators=(*coarser, ShotNoise(electrons_per_pixel=dose), digitise(row.bits)))


def _in_words(row: _Instrument, change: Change | None) -> str:
    parts = [
        f"simulated {row.specimen}"
        + (f", {row.magnification:g} times magnified" if row.magnification > 1 else "")
        + (f" with dark {row.stained}s" if row.stained else "")
        + (" of one tissue, shared with other sites" if row.section else "")
        + (" at half the sampling" if row.task.scale == 2 else ""),
        f"shot noise of {row.dose:g} electrons per pixel",
        f"{row.bits} bit",
    ]
    if change is not None:
        parts.append(change.told)
    if not row.federates:
        parts.append("takes no part in federations")
    if isinstance(row.task, Segment):
        parts.append("labelled by a simulated annotator")
    return "; ".join(parts)
