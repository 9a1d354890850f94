"""Which algorithm joins the updates of a federation's rounds: typed values, chosen in the settings."""

from typing import Annotated, Literal

from pydantic import Field

from model_library.wire.base import Message


class FedAvg(Message):
    """Mean of the updates, weighted by examples (McMahan et al. 2017)."""

    kind: Literal["fedavg"] = "fedavg"


class FedProx(Message):
    """FedAvg of sites that are held near the network they got (Li et al. 2020).

    `mu` weighs half the squared distance to it, which each site adds to its loss.
    """

    kind: Literal["fedprox"] = "fedprox"
    mu: float = Field(default=0.01, gt=0)


class FedBN(Message):
    """FedAvg of everything but normalisation and head, which each site keeps (Li et al. 2021)."""

    kind: Literal["fedbn"] = "fedbn"


class FedAdam(Message):
    """Adam on the server, with the mean update in the gradient's place (Reddi et al. 2021).

    `rate` is the largest step of a weight in a round, about; `tau` bounds how small updates count.
    """

    kind: Literal["fedadam"] = "fedadam"
    rate: float = Field(default=1e-3, gt=0)
    beta_1: float = Field(default=0.9, ge=0, lt=1)
    beta_2: float = Field(default=0.99, ge=0, lt=1)
    tau: float = Field(default=1e-3, gt=0)


class FedYogi(Message):
    """Yogi on the server: as FedAdam, but its second moment grows and shrinks additively."""

    kind: Literal["fedyogi"] = "fedyogi"
    rate: float = Field(default=1e-3, gt=0)
    beta_1: float = Field(default=0.9, ge=0, lt=1)
    beta_2: float = Field(default=0.99, ge=0, lt=1)
    tau: float = Field(default=1e-3, gt=0)


class TrimmedMean(Message):
    """Mean of each weight without the smallest and the largest `cut` of its updates (Yin et al. 2018)."""

    kind: Literal["trimmed_mean"] = "trimmed_mean"
    cut: float = Field(default=0.2, ge=0, lt=0.5)


class Median(Message):
    """Median of the updates of each weight (Yin et al. 2018)."""

    kind: Literal["median"] = "median"


class MultiKrum(Message):
    """Mean of the updates nearest to their neighbours (Blanchard et al. 2017).

    `byzantine` is f, the number of sites that may lie; of n updates, the `keep` best count (None: n - f).
    Needs n > 2 f + 2.
    """

    kind: Literal["multi_krum"] = "multi_krum"
    byzantine: int = Field(default=1, ge=0)
    keep: int | None = Field(default=None, ge=1)


class FedBuff(Message):
    """Asynchronous rounds for busy sites (Nguyen et al. 2022).

    A round ends with `buffer` updates, also of earlier rounds' networks; one that is t rounds old
    counts 1 / sqrt(1 + t), and not at all beyond `most_stale`.
    """

    kind: Literal["fedbuff"] = "fedbuff"
    buffer: int = Field(default=3, ge=1)
    most_stale: int = Field(default=4, ge=0)


Algorithm = Annotated[
    FedAvg | FedProx | FedBN | FedAdam | FedYogi | TrimmedMean | Median | MultiKrum | FedBuff,
    Field(discriminator="kind"),
]


def fewest_updates(algorithm: Algorithm) -> int:
    """Fewest updates that an algorithm can join in a round."""
    match algorithm:
        case MultiKrum(byzantine=f, keep=keep):
            return max(2 * f + 3, keep or 1)
        case _:
            return 1
