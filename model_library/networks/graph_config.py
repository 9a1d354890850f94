"""A network that came from elsewhere, as a list of steps: data, never code."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from model_library.wire.base import Message

Pair = tuple[int, int]
"""Along Y and X."""

Source = Annotated[int, Field(ge=0)]
"""Which value a step takes: 0 is the image, n what step n - 1 (counted from 0) has made."""


class Convolve(Message):
    """2-D convolution; `transposed` is its adjoint, where `growth` completes the size of the output."""

    step: Literal["convolve"] = "convolve"
    source: Source
    inputs: int = Field(ge=1)
    outputs: int = Field(ge=1)
    kernel: Pair
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = Field(default=1, ge=1)
    bias: bool = True
    transposed: bool = False
    growth: Pair = (0, 0)


class Pool(Message):
    """Largest or mean value of a window."""

    step: Literal["pool"] = "pool"
    source: Source
    function: Literal["max", "average"]
    kernel: Pair
    stride: Pair
    padding: Pair = (0, 0)


class Activate(Message):
    """A function of each value; `softmax` over channels; `slope` below zero (leaky ReLU), or ELU's alpha."""

    step: Literal["activate"] = "activate"
    source: Source
    function: Literal["relu", "leaky_relu", "elu", "sigmoid", "tanh", "softmax"]
    slope: float = 0.01


class Rescale(Message):
    """Multiply each channel by a weight and add another: constants, and folded batch normalisation.

    With one channel, one pair of weights serves them all.
    """

    step: Literal["rescale"] = "rescale"
    source: Source
    channels: int = Field(ge=1)


class Standardise(Message):
    """Instance normalisation: the mean and variance of the whole plane, so tiles are not exact."""

    step: Literal["standardise"] = "standardise"
    source: Source
    channels: int = Field(ge=1)
    epsilon: float = Field(gt=0)


class Combine(Message):
    """Two values, pixel by pixel."""

    step: Literal["combine"] = "combine"
    function: Literal["add", "subtract", "multiply", "divide"]
    left: Source
    right: Source


class Join(Message):
    """The channels of several values, one after another."""

    step: Literal["join"] = "join"
    sources: tuple[Source, ...] = Field(min_length=1)


class Enlarge(Message):
    """Resize by a whole factor; `linear` as torch does without aligned corners."""

    step: Literal["enlarge"] = "enlarge"
    source: Source
    factor: int = Field(ge=2, le=16)
    mode: Literal["nearest", "linear"]


class Shuffle(Message):
    """Channels to pixels; in `crd` order they are those of a pixel shuffle."""

    step: Literal["shuffle"] = "shuffle"
    source: Source
    factor: int = Field(ge=2, le=16)
    order: Literal["crd", "dcr"] = "crd"


Step = Annotated[
    Convolve | Pool | Activate | Rescale | Standardise | Combine | Join | Enlarge | Shuffle,
    Field(discriminator="step"),
]


class ByPercentiles(Message):
    """Units in which two percentiles of the whole image are 0 and 1."""

    kind: Literal["percentiles"] = "percentiles"
    low: float = Field(default=1.0, ge=0)
    high: float = Field(default=99.0, le=100)


class ByMoments(Message):
    """Units in which the whole image has mean 0 and standard deviation 1."""

    kind: Literal["moments"] = "moments"


class ByConstants(Message):
    """Fixed units: `offset` counts are 0, and `gain` counts are one unit."""

    kind: Literal["constants"] = "constants"
    offset: float
    gain: float = Field(gt=0)


Units = Annotated[ByPercentiles | ByMoments | ByConstants, Field(discriminator="kind")]
"""In which units a network wants its image, and gives a restored one back."""


class GraphConfig(Message):
    """Steps, each of which takes earlier values; what the last one makes is the output."""

    kind: Literal["graph"] = "graph"
    in_channels: Literal[1] = 1
    channels: Literal["grey"] = "grey"
    steps: tuple[Step, ...] = Field(min_length=1, max_length=2000)
    units: Units = ByPercentiles()

    @model_validator(mode="after")
    def _only_earlier_values(self) -> Self:
        for number, step in enumerate(self.steps):
            if max(sources(step)) > number:
                raise ValueError(
                    f"expected step {number} to take one of the values 0 to {number}, found {sources(step)}; "
                    "put steps in the order in which they are computed"
                )
        return self


def sources(step: Step) -> tuple[int, ...]:
    """Which values a step takes."""
    match step:
        case Combine():
            return (step.left, step.right)
        case Join():
            return step.sources
        case _:
            return (step.source,)
