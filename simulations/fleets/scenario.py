"""What a scenario file says: instruments, their conditions, the network, the rounds, what is compared."""

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from model_library.networks.config import Normalisation, UNetConfig
from model_library.specimens import SpecimenKind
from model_library.wire.base import Message
from model_library.wire.tasks import Denoise, Segment
from simulations.errors import ScenarioError
from simulations.fleets.attacks import Attack
from site_client.hours import parse_span

SIDE_MULTIPLE = 16
"""Frames have sides that a U-Net of up to five levels halves without rest."""

_Positive = Annotated[float, Field(gt=0)]
Spread = _Positive | tuple[_Positive, _Positive]
"""One value for all instruments of a group, or the ends of a range from which each draws its own."""


class LibraryNetwork(Message):
    """Begin with a network of the library."""

    kind: Literal["library"] = "library"
    id: str


class FreshNetwork(Message):
    """Begin with a U-Net whose weights are drawn at random."""

    kind: Literal["fresh"] = "fresh"
    widths: tuple[int, ...] = Field(min_length=2)
    normalisation: Normalisation = "none"

    def config(self, task: Denoise | Segment) -> UNetConfig:
        """Architecture that it stands for, where it is to do this."""
        plain = UNetConfig(widths=self.widths, normalisation=self.normalisation)
        if isinstance(task, Denoise):
            return plain
        return plain.model_copy(update={"out_channels": len(task.classes), "residual": False})


class Frames(Message):
    """How many frames each instrument acquires, and their side in px.

    The `held_out` last ones are never trained on: networks are judged there. On `gate` others, which nobody
    trains on either, each site's best network is chosen; 0: none is.
    """

    trained: int = Field(default=8, ge=1)
    gate: int = Field(default=0, ge=0)
    held_out: int = Field(default=4, ge=2)
    side_px: int = Field(default=96, ge=64, le=1024, multiple_of=SIDE_MULTIPLE)


class Instruments(Message):
    """A group of instruments that are alike up to what each draws for itself.

    Attributes
    ----------
    specimen
        What is simulated under them; or `files`, a pattern of real micrographs below the folder of `--data`,
        which are taken as clean.
    stained
        A structure that every simulated specimen shows, darker than what is round it; else contrast is as
        chance has it, and the same structure bright or dark.
    dose
        Electrons per pixel at full intensity. `dose_falls_to`: that of the later half of the frames.
    blur_px, read_noise
        Standard deviations of the optics, in px, and of the detector, of the full intensity.
    drops_out, straggles
        Chance, per round, to fall silent once it was asked, and to take `straggles_by` times as long.
    silent_s
        Seconds of such a silence; Flower gives an instrument up that is silent for 60.
    step_s, mbit_per_s
        Seconds of its computer for one step of training, and its line in both directions.
    online
        Hours of its day in which it can be reached, as in a site's settings; empty: always.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,40}$")
    count: int = Field(default=1, ge=1, le=1000)
    specimen: SpecimenKind | None = None
    files: str | None = None
    stained: str | None = None
    magnification: Spread = 1.0
    dose: Spread
    dose_falls_to: Spread | None = None
    blur_px: Spread | None = None
    read_noise: Spread | None = None
    pixel_size_nm: Spread = 4.0
    bits: Literal[8, 16] = 16
    drops_out: float = Field(default=0.0, ge=0, le=1)
    silent_s: float = Field(default=60.0, gt=0)
    straggles: float = Field(default=0.0, ge=0, le=1)
    straggles_by: float = Field(default=10.0, ge=1)
    step_s: Spread = 1.0
    mbit_per_s: Spread = 100.0
    online: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.specimen is None) == (self.files is None):
            raise ValueError("expected either a specimen or files, found both or neither; give one of them")
        return self

    @field_validator("online")
    @classmethod
    def _hours(cls, spans: tuple[str, ...]) -> tuple[str, ...]:
        for span in spans:
            parse_span(span)
        return spans


class Attacks(Message):
    """So many instruments, drawn at random, send lies of each of these kinds, one kind per run.

    Each run is repeated with plain averaging that examines nothing.
    """

    instruments: int = Field(ge=1)
    kinds: tuple[Attack, ...] = Field(min_length=1)


class Variant(Message):
    """The same fleet once more, with other settings of rounds: what they are worth, or what they cost."""

    name: str
    federation: dict[str, Any]


class Comparison(Message):
    """With what the federated network is compared.

    `personalised_steps`: of local training after the last round. `pooled_steps`: of training on the
    frames of all instruments in one place; None for as many as the federation takes altogether.
    """

    against: tuple[Literal["personalised", "local_only", "pooled"], ...] = (
        "personalised",
        "local_only",
        "pooled",
    )
    personalised_steps: int = Field(default=20, ge=1)
    pooled_steps: int | None = Field(default=None, ge=1)


class FleetScenario(Message):
    """Everything that is simulated.

    `federation` holds settings of `coordinator.federation.plan.FederationPlan`. `begins_at` is the hour
    at which the first round begins, on a Monday. With a `task` of segmentation every site has labels of
    its simulated specimens, drawn without a fault.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    told: str
    seed: int = Field(default=0, ge=0)
    begins_at: str = Field(default="12:00", pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    task: Annotated[Denoise | Segment, Field(discriminator="kind")] = Denoise()
    network: Annotated[LibraryNetwork | FreshNetwork, Field(discriminator="kind")]
    frames: Frames = Frames()
    federation: dict[str, Any]
    instruments: tuple[Instruments, ...] = Field(min_length=1)
    attacks: Attacks | None = None
    variants: tuple[Variant, ...] = ()
    comparison: Comparison = Comparison()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [group.name for group in self.instruments]
        if len(set(names)) < len(names):
            raise ValueError(f"expected groups of different names, found {names}; rename one")
        if self.attacks is not None and self.attacks.instruments >= self.count:
            raise ValueError(
                f"expected fewer attackers than the {self.count} instruments, found "
                f"{self.attacks.instruments}; lower attacks.instruments"
            )
        return self

    @model_validator(mode="after")
    def _labels_are_there(self) -> Self:
        if isinstance(self.task, Segment) and (self.needs_data or self.comparison.against):
            raise ValueError(
                "expected simulated specimens and comparison.against = [] for a task of segmentation, found "
                "files or comparisons; leave these out"
            )
        return self

    @property
    def count(self) -> int:
        """Instruments altogether."""
        return sum(group.count for group in self.instruments)

    @property
    def needs_data(self) -> bool:
        """Whether real micrographs lie under some of them."""
        return any(group.files is not None for group in self.instruments)


def read_scenario(path: Path) -> FleetScenario:
    """Read a scenario file.

    Raises
    ------
    ScenarioError
        It is missing, no TOML, or holds a key or a value that is not understood.
    """
    try:
        return FleetScenario.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as failure:
        raise ScenarioError(
            f"expected a scenario at {path}, found {failure.strerror}; name a file of simulations/scenarios"
        ) from failure
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as failure:
        raise ScenarioError(f"expected TOML in {path}, found: {failure}; correct that line") from failure
    except ValidationError as failure:
        told = "; ".join(
            f"{'.'.join(str(part) for part in each['loc']) or 'the whole'}: {each['msg']}"
            for each in failure.errors(include_url=False, include_input=False)[:3]
        )
        raise ScenarioError(f"expected a scenario in {path}, found {told}; correct that") from failure
