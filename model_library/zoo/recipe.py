"""How a network of the library is made: everything but the machine, in one TOML file."""

import tomllib
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, ValidationError, model_validator

from model_library.errors import RecipeError
from model_library.networks.build import out_channels, scale
from model_library.networks.config import NetworkConfig
from model_library.specimens import SpecimenKind
from model_library.training.config import FitConfig
from model_library.training.losses import SEGMENTING_LOSSES
from model_library.training.variations import PositiveRange, Variations
from model_library.wire.base import Message
from model_library.wire.tasks import Segment, Task


class SpecimenPool(Message):
    """Simulated specimens: how many, how large, and how much larger or smaller than drawn.

    `only_dark` (`only_bright`) names a mask; specimens where it is not darker (brighter) than the
    rest, or covers more than half of the image, are left out, so that a structure has one look.
    """

    kinds: tuple[SpecimenKind, ...] = Field(min_length=1)
    images: int = Field(ge=1)
    side_px: int = Field(ge=32)
    zoom: PositiveRange = (0.6, 1.4)
    only_dark: str | None = None
    only_bright: str | None = None


class MicrographSource(Message):
    """Real micrographs under `--data`, binned against their own noise and cut into squares."""

    folder: str
    pattern: str = "*.png"
    terms: str
    bin: Annotated[int, Field(ge=1, le=4)] = 1


class PretrainRecipe(Message):
    """One network of the library.

    `start` names a network of the library whose weights are the starting point where key and
    shape agree. `label` is the specimen's mask that a segmenting network learns to find.
    """

    id: str
    version: str = "1.0.0"
    purpose: str
    task: Task
    network: NetworkConfig
    start: str | None = None
    specimens: SpecimenPool
    micrographs: tuple[MicrographSource, ...] = ()
    label: str | None = None
    variations: Variations
    fit: FitConfig
    limits: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        segments = isinstance(self.task, Segment)
        channels = len(self.task.classes) if isinstance(self.task, Segment) else 1
        if out_channels(self.network) != channels or segments != (self.fit.loss in SEGMENTING_LOSSES):
            raise RecipeError(
                f"{self.id}: expected {channels} output channels and the loss of a {self.task.kind} network, "
                f"found {out_channels(self.network)} and {self.fit.loss}; correct the recipe"
            )
        if segments != (self.label is not None) or (segments and self.micrographs):
            raise RecipeError(
                f"{self.id}: expected a label (and no micrographs) for segmentation and none otherwise, "
                f"found {self.label}; correct the recipe"
            )
        if not self.task.scale == scale(self.network) == self.variations.scale:
            raise RecipeError(
                f"{self.id}: expected one scale in task, network and variations, found {self.task.scale}, "
                f"{scale(self.network)} and {self.variations.scale}; correct the recipe"
            )
        return self


def recipes_folder() -> Path:
    """Where the recipes of the library lie."""
    return Path(__file__).parent / "recipes"


def recipe_path(name: str) -> Path:
    """Path of a recipe, given its path or the id of a network that ships.

    Raises
    ------
    RecipeError
        Neither exists.
    """
    for path in (recipes_folder() / f"{name}.toml", Path(name)):
        if path.is_file():
            return path
    known = ", ".join(sorted(path.stem for path in recipes_folder().glob("*.toml")))
    raise RecipeError(f"expected a recipe file or one of {known}, found '{name}'; correct the name")


def read_recipe(path: Path) -> PretrainRecipe:
    """Read a recipe; raises `RecipeError` where it is malformed or contradicts itself."""
    try:
        return PretrainRecipe.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, ValidationError) as failure:
        raise RecipeError(f"{path}: expected a recipe, found {failure}; correct the file") from failure
