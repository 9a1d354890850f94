"""How a network of the library is made: everything but the machine, in one TOML file."""

import tomllib
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, model_validator

from model_library.cards.acquisition import AcquisitionRange
from model_library.cards.card import Modality
from model_library.errors import RecipeError
from model_library.networks.build import out_channels, scale
from model_library.networks.config import NetworkConfig
from model_library.specimens import SpecimenKind
from model_library.training.config import FitConfig
from model_library.training.losses import SEGMENTING_LOSSES
from model_library.training.variations import PositiveRange, Variations
from model_library.wire.base import Message
from model_library.wire.tasks import Segment, Task

Terms = Annotated[str, Field(pattern=r"^(MIT|CC0|CC BY)(,.*)?$")]
"""Terms that allow weights to ship; what they want to be said follows behind a comma."""


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
    terms: Terms
    bin: Annotated[int, Field(ge=1, le=4)] = 1


class LabelledSource(Message):
    """Real micrographs under `--data` on which people marked a structure.

    Attributes
    ----------
    images
        Pattern of the images in `folder`.
    labels
        The image of labels of each image, with its `{parent}` (folder within `folder`) and `{stem}`
        filled in; or one `.xml` of CVAT for all, whose shapes of the recipe's `label` are objects.
    values
        The least and the greatest grey value that mean the structure in an image of labels.
    specimen
        Regular expression that finds the specimen in the path of an image.
    held_out
        Specimens that training never sees: scores are measured on them.
    bin
        Images are binned by this factor, labels by majority. Where a recipe names a folder twice, to
        learn two samplings, scores are measured at the first.
    side_px
        Side of the squares that images are cut into, after binning.
    empty_share
        At most this many squares without the structure, as a share of those that hold it.
    """

    folder: str
    images: str
    labels: str
    values: tuple[int, int] | None = None
    specimen: str
    held_out: tuple[str, ...] = Field(min_length=1)
    terms: Terms
    bin: Annotated[int, Field(ge=1, le=4)] = 1
    side_px: int = Field(default=256, ge=32)
    empty_share: float = Field(default=1.0, ge=0)


class StackSource(Message):
    """A real stack under `--data` in which people numbered the cells: one learns from neighbouring slices.

    Attributes
    ----------
    image, labels
        TIFF stacks in `folder`, page for page; the structure is where cells of different numbers meet.
    width_px
        Width of that line.
    slices, held_out
        First and last slice that training sees, and that scores are measured on, from 0.
    """

    folder: str
    image: str
    labels: str
    width_px: Annotated[int, Field(ge=2)] = 4
    slices: tuple[int, int]
    held_out: tuple[int, int]
    terms: Terms

    @model_validator(mode="after")
    def _parts_apart(self) -> Self:
        (first, last), (begin, end) = self.slices, self.held_out
        if not (0 <= first <= last and 0 <= begin <= end) or (begin <= last and first <= end):
            raise RecipeError(
                f"{self.folder}: expected slices for training and for scoring that do not meet, found "
                f"{self.slices} and {self.held_out}; part them"
            )
        return self


class PretrainRecipe(Message):
    """One network of the library.

    `start` names a network of the library whose weights are the starting point where key and
    shape agree. `label` is the structure that a segmenting network learns to find, in simulated
    specimens and in the labels of real ones. With `border_px`, the last class is the rim of that
    width inside every object, at which touching objects come apart. `objects` says whose regions
    the loss `border_cross_entropy` keeps apart: those of the label, or those of the background
    (cells within membranes). `modality` (none: any) and `pixel_size_nm`, after binning, say what the
    network is for.
    """

    id: str
    version: str = "1.0.0"
    purpose: str
    task: Task
    network: NetworkConfig
    start: str | None = None
    modality: tuple[Modality, ...] = ()
    pixel_size_nm: tuple[float, float] | None = None
    specimens: SpecimenPool | None = None
    micrographs: tuple[MicrographSource, ...] = ()
    labelled: tuple[LabelledSource, ...] = ()
    stack: StackSource | None = None
    label: str | None = None
    objects: Literal["label", "background"] = "label"
    border_px: Annotated[int, Field(ge=1)] | None = None
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
        real = self.labelled or self.stack is not None
        if segments != (self.label is not None) or (self.micrographs if segments else real):
            raise RecipeError(
                f"{self.id}: expected a label (and no micrographs without labels) for segmentation and none "
                f"otherwise, found {self.label}; correct the recipe"
            )
        if self.specimens is None and not (segments and real):
            raise RecipeError(
                f"{self.id}: expected simulated specimens or labelled micrographs, found neither; add some"
            )
        alone = self.specimens is None and not self.labelled
        if (self.stack is not None) != (self.network.channels == "slices") or (self.stack and not alone):
            raise RecipeError(
                f"{self.id}: expected a stack, and nothing else, for a network of neighbouring slices, found "
                f"channels that are {self.network.channels}; correct the recipe"
            )
        if segments and channels != (2 if self.border_px is None else 3):
            raise RecipeError(
                f"{self.id}: expected two classes, or three with border_px, found {channels} and "
                f"{self.border_px}; correct the recipe"
            )
        if not self.task.scale == scale(self.network) == self.variations.scale:
            raise RecipeError(
                f"{self.id}: expected one scale in task, network and variations, found {self.task.scale}, "
                f"{scale(self.network)} and {self.variations.scale}; correct the recipe"
            )
        return self

    @property
    def acquisition(self) -> AcquisitionRange | None:
        """How the images that it plants were acquired."""
        dose = self.variations.electrons_per_pixel
        return None if dose is None else AcquisitionRange(dose_e_per_px=dose)


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
