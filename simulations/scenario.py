"""What is simulated: sites, what their microscopes look at, how they degrade and write it."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from model_library.degradation.operators import Digitise
from model_library.degradation.recipe import Recipe
from model_library.specimens import SpecimenKind
from model_library.wire.base import Message
from model_library.wire.tasks import Task

SEED_STREAM = 0x5EED_DE30
"""First word of every seed drawn here; pre-training never uses it, so no specimen is seen twice."""


class Writing(StrEnum):
    """How an instrument's software puts a file where others see it."""

    GROWING = "growing"
    """Under its final name from the first byte on."""
    RENAMED = "renamed"
    """Under a temporary name, renamed when whole."""


class Section(Message):
    """A large specimen that several instruments look at, each at fields of its own.

    Fields lie side by side in an order drawn at random; instrument number `part` (from 0) of `parts`
    gets every `parts`-th. `fields` is how many each instrument has room for.
    """

    name: str
    part: int = Field(ge=0)
    parts: int = Field(ge=1)
    fields: int = Field(ge=1)


class Specimens(Message):
    """Simulated specimens: one per field of view, frames are shifted crops of it.

    The stage visits every field once, then all of them again, until each has `frames_per_field`.
    Structures are drawn `magnification` times larger than those that networks were pre-trained on.
    `stained` names a structure that every specimen shows, darker than what is round it. With a
    `section`, fields are places on one large specimen, each visited once.
    """

    kind: Literal["specimens"] = "specimens"
    specimen: SpecimenKind
    frame_px: int = Field(ge=64, le=4096)
    frames_per_field: int = Field(default=1, ge=1)
    magnification: float = Field(default=1.0, ge=1, le=16)
    stained: str | None = None
    section: Section | None = None


class Crop(Message):
    """One frame's place in a file: `[y : y + height, x : x + width]` of page `page`.

    `truth` holds the noise-free image, or for segmentation the mask (0 is background).
    """

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


class Change(Message):
    """From frame `at_frame` (counted from 0) on, the instrument degrades by another recipe: a drift."""

    at_frame: int = Field(ge=1)
    recipe: Recipe
    told: str
    """What changed, in words for the report."""


class SiteScenario(Message):
    """One site: an instrument, what it looks at, and what its owner wants.

    `recipe` is what the instrument does to the specimen (unit intensity to counts); None where the
    files are taken as acquired. `pixel_size_nm` is that of an acquired frame. `federates`: its owner
    lets it take part in federations.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    task: Task
    source: Source
    recipe: Recipe | None
    pixel_size_nm: float | None = Field(default=None, gt=0)
    frames: int = Field(ge=1, le=10_000)
    writing: Writing = Writing.GROWING
    federates: bool = True
    change: Change | None = None
    told: str
    """What the microscope does, in words for the report."""

    @model_validator(mode="after")
    def _scales_agree(self) -> Self:
        changed = None if self.change is None else self.change.recipe
        for recipe in (self.recipe, changed):
            if recipe is not None and recipe.scale != self.task.scale:
                message = (
                    f"expected a degradation that samples {self.task.scale} times coarser, as the task asks, "
                    f"found {recipe.scale} times; change the task or the degradation"
                )
                raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _change_has_a_before_and_an_after(self) -> Self:
        if self.change is None:
            return self
        if self.recipe is None:
            raise ValueError(
                "expected a degradation that can change, found files taken as acquired; remove the change"
            )
        if self.change.at_frame >= self.frames:
            raise ValueError(
                f"expected a change before the last of {self.frames} frames, found one at frame "
                f"{self.change.at_frame}; move the change or acquire more frames"
            )
        return self

    def recipe_at(self, number: int) -> Recipe | None:
        """Choose what the instrument does to the specimen at a frame, counted from 0."""
        if self.change is not None and number >= self.change.at_frame:
            return self.change.recipe
        return self.recipe


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
