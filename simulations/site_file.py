"""`site.toml`: what the owner of a folder of micrographs says about it."""

import tomllib
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from model_library.degradation.named import named_recipes
from model_library.degradation.operators import Downsample, Operator, ShotNoise
from model_library.degradation.recipe import Recipe
from model_library.errors import RecipeError, UnknownTask
from model_library.wire.base import Message
from model_library.wire.tasks import Task, parse_task
from simulations.errors import ScenarioError
from simulations.scenario import Change, digitise

SMALLEST_FRAME_PX = 96
_DEFAULT_FRAME_PX = 384
_DEFAULT_DOSE = {"denoise": 30.0, "super_resolve": 250.0, "segment": 40.0}


class ChangeFile(Message):
    """`[change]`: from the share `at` of the frames on, the dose is `dose` electrons per pixel."""

    at: float = Field(gt=0, lt=1)
    dose: float = Field(gt=0)


class SiteFile(Message):
    """The keys of `site.toml`; every one is optional.

    `task` is written as `synoptic site enrol --task` takes it.

    `pixel_size_nm` is that of the files. `frame_px` is the side of an acquired frame. `dose` is in
    electrons per pixel at full intensity. `degradation` is the name of a recipe, "none" (the files
    are taken as acquired), or a list of operators. `federate` false: the site takes no part in
    federations. `change` lets the instrument drift.
    """

    task: str | Task = "denoise"
    pixel_size_nm: float | None = Field(default=None, gt=0)
    dose: float | None = Field(default=None, gt=0)
    degradation: str | tuple[Operator, ...] | None = None
    frames: int | None = Field(default=None, ge=1)
    frame_px: int | None = Field(default=None, ge=SMALLEST_FRAME_PX, le=4096)
    bits: Literal[8, 16] = 8
    federate: bool = True
    change: ChangeFile | None = None

    def side(self, task: Task) -> int:
        """Give the side of an acquired frame in px; results of all tasks are equally large."""
        return self.frame_px or _DEFAULT_FRAME_PX // task.scale


def read_site_file(path: Path) -> SiteFile:
    """Read `site.toml`; where there is none, everything has its default.

    Raises
    ------
    ScenarioError
        Where it is not TOML, or holds a key or a value that is not understood.
    """
    if not path.exists():
        return SiteFile()
    try:
        return SiteFile.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ScenarioError(f"expected TOML in {path}, found: {error}; correct or remove the file") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ScenarioError(
            f"expected the keys {', '.join(SiteFile.model_fields)} in {path}, found at {place!r}: "
            f"{first['msg']}; correct or remove that line"
        ) from error


def task_of(told: SiteFile, path: Path) -> Task:
    """Name the task.

    Raises
    ------
    ScenarioError
        It is not one.
    """
    try:
        return parse_task(told.task) if isinstance(told.task, str) else told.task
    except UnknownTask as error:
        raise ScenarioError(f"{path}: {error}; correct that line") from error


def change_of(told: SiteFile, task: Task, frames: int, path: Path) -> Change | None:
    """Lay out how the instrument changes; None where it stays as it is.

    Raises
    ------
    ScenarioError
        Files taken as acquired cannot change, nor can fewer than two frames.
    """
    if told.change is None:
        return None
    recipe = recipe_of(told.model_copy(update={"dose": told.change.dose}), task, path)
    at_frame = round(told.change.at * frames)
    if recipe is None or told.degradation is not None or not 0 < at_frame < frames:
        raise ScenarioError(
            f"expected a dose and at least two frames in {path}, as its [change] asks, found another "
            "degradation or fewer frames; remove `degradation` or [change], or add micrographs"
        )
    words = f"from frame {at_frame + 1} on the dose is {told.change.dose:g} electrons per pixel"
    return Change(at_frame=at_frame, recipe=recipe, told=words)


def recipe_of(told: SiteFile, task: Task, path: Path) -> Recipe | None:
    """Choose what the microscope does to a clean micrograph; None: nothing, the files are acquisitions."""
    if told.degradation == "none":
        return None
    if isinstance(told.degradation, str):
        if told.degradation not in named_recipes():
            raise ScenarioError(
                f"expected a degradation among none, {', '.join(named_recipes())} in {path}, found "
                f"{told.degradation!r}; choose one of these, or list operators"
            )
        operators: tuple[Operator, ...] = named_recipes()[told.degradation].operators
    elif told.degradation:
        operators = told.degradation
    else:
        coarser = (Downsample(scale=task.scale),) if task.scale > 1 else ()
        operators = (*coarser, ShotNoise(electrons_per_pixel=told.dose or _DEFAULT_DOSE[task.kind]))
    if not any(operator.kind == "digitise" for operator in operators):
        operators = (*operators, digitise(told.bits))
    try:
        recipe = Recipe(operators=operators)
        if told.pixel_size_nm is not None:
            recipe = recipe.at_pixel_size(told.pixel_size_nm)
    except RecipeError as error:
        raise ScenarioError(f"{path}: {error}") from error
    if recipe.scale != task.scale:
        raise ScenarioError(
            f"expected a degradation that samples {task.scale} times coarser in {path}, as its task asks, "
            f"found {recipe.scale} times; change one of them"
        )
    return recipe
