"""What is simulated: sites, what their microscopes look at, how they degrade and write it."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from model_library.degradation.operators import Digitise, Downsample, ReadNoise, ShotNoise
from model_library.degradation.recipe import Recipe
from model_library.specimens import SpecimenKind
from model_library.wire.base import Message
from model_library.wire.tasks import Denoise, SuperResolve, Task

SEED_STREAM = 0x5EED_DE30
"""First word of every seed drawn here; pre-training never uses it, so no specimen is seen twice."""


class Writing(StrEnum):
    """How an instrument's software puts a file where others see it."""

    GROWING = "growing"
    """Under its final name from the first byte on."""
    RENAMED = "renamed"
    """Under a temporary name, renamed when whole."""


class Specimens(Message):
    """Simulated specimens: one per field of view, frames are shifted crops of it.

    The stage visits every field once, then all of them again, until each has `frames_per_field`.
    """

    kind: Literal["specimens"] = "specimens"
    specimen: SpecimenKind
    frame_px: int = Field(ge=64, le=4096)
    frames_per_field: int = Field(default=2, ge=1)


class Crop(Message):
    """One frame's place in a file: `[y : y + height, x : x + width]` of page `page`."""

    file: Path
    page: int = Field(default=0, ge=0)
    y: int = Field(ge=0)
    x: int = Field(ge=0)
    height: int = Field(ge=1)
    width: int = Field(ge=1)
    field: str
    truth: Path | None = None


class Micrographs(Message):
    """Real micrographs, cut to frames in the order in which the microscope acquires them."""

    kind: Literal["micrographs"] = "micrographs"
    crops: tuple[Crop, ...] = Field(min_length=1)


Source = Annotated[Specimens | Micrographs, Field(discriminator="kind")]


class SiteScenario(Message):
    """One site: an instrument, what it looks at, and what its owner wants.

    `recipe` is what the instrument does to the specimen (unit intensity to counts); None where the
    files are taken as acquired. `pixel_size_nm` is that of an acquired frame.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    task: Task
    source: Source
    recipe: Recipe | None
    pixel_size_nm: float | None = Field(default=None, gt=0)
    frames: int = Field(ge=1, le=10_000)
    writing: Writing = Writing.GROWING
    told: str
    """What the microscope does, in words for the report."""

    @model_validator(mode="after")
    def _scales_agree(self) -> Self:
        if self.recipe is not None and self.recipe.scale != self.task.scale:
            message = (
                f"expected a degradation that samples {self.task.scale} times coarser, as the task asks, "
                f"found {self.recipe.scale} times; change the task or the degradation"
            )
            raise ValueError(message)
        return self


class Scenario(Message):
    """Everything that is simulated in one run."""

    seed: int = Field(ge=0)
    sites: tuple[SiteScenario, ...] = Field(min_length=1)


def digitise(bits: int) -> Digitise:
    """Leave head-room at both ends of the detector, so that noise is seldom clipped."""
    return (
        Digitise(bits=8, gain=120.0, offset=24.0)
        if bits == 8
        else Digitise(bits=16, gain=24_000.0, offset=4000.0)
    )


def default_scenario(seed: int, frames: int) -> Scenario:
    """Three instruments that look at simulated specimens: two denoise, one super-resolves."""
    membranes = SiteScenario(
        name="membranes",
        task=Denoise(),
        source=Specimens(specimen=SpecimenKind.CELLS, frame_px=448, frames_per_field=1),
        recipe=Recipe(operators=(ShotNoise(electrons_per_pixel=24.0), digitise(8))),
        pixel_size_nm=4.0,
        frames=frames,
        told="simulated cells and membranes; shot noise of 24 electrons per pixel; 8 bit",
    )
    alloy = SiteScenario(
        name="alloy",
        task=Denoise(),
        source=Specimens(specimen=SpecimenKind.PRECIPITATES, frame_px=448, frames_per_field=1),
        recipe=Recipe(operators=(ShotNoise(electrons_per_pixel=80.0), ReadNoise(sigma=0.06), digitise(16))),
        pixel_size_nm=1.5,
        frames=frames,
        writing=Writing.RENAMED,
        told="simulated precipitates; shot noise of 80 electrons per pixel and read noise; 16 bit",
    )
    particles = SiteScenario(
        name="particles",
        task=SuperResolve(scale=2),
        source=Specimens(specimen=SpecimenKind.PARTICLES, frame_px=224, frames_per_field=1),
        recipe=Recipe(operators=(Downsample(scale=2), ShotNoise(electrons_per_pixel=250.0), digitise(16))),
        pixel_size_nm=2.0,
        frames=frames,
        told="simulated particles at half the sampling; shot noise of 250 electrons per pixel; 16 bit",
    )
    return Scenario(seed=seed, sites=(membranes, alloy, particles))
