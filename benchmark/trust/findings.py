"""What a trust check found: a figure, the limit that it is held to, and what that means in words."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Self

from pydantic import Field

from model_library.wire.base import Message


class Check(StrEnum):
    """What is asked of a method besides a good score.

    `FORWARD` holds the result, acquired again by the task's forward model, against the acquisition.
    `WHITENESS` asks whether structure is left in what differs between the two. `INVENTION` gives it
    noise alone. `CONTRADICTION` looks for structure of the result that the acquisition excludes.
    `PLANTED` puts faint blobs into the input, which have to survive. `COVERAGE` asks how often the
    95 % interval of the uncertainty map holds what was true. `LIKENESS` compares an image with those
    that the network learned from.
    """

    FORWARD = "forward consistency"
    WHITENESS = "whiteness of the residual"
    INVENTION = "invented structure"
    CONTRADICTION = "contradicting structure"
    PLANTED = "planted blobs kept"
    COVERAGE = "coverage of the 95 % interval"
    LIKENESS = "likeness to the training data"


class TrustLimits(Message):
    """Limits of all checks; docs/decisions/0022 says where each comes from.

    Attributes
    ----------
    forward
        Most variance of the residual, in units of the acquisition's noise variance; an unbiased result
        of no noise has 1, one that follows the noise less.
    whiteness
        The same after averaging over 4 x 4 pixels, where left-over structure does not average out.
    invention
        Largest share of the area on which noise alone may be turned into structure.
    contradiction
        Largest share of the area that structure may take up which the acquisition excludes.
    planted
        Least share of a planted blob's contrast that has to come through, in the median.
    coverage
        Between which shares the 95 % interval has to hold what was true.
    likeness
        Most distance to the training data, in units of the distance that 99 % of that data itself keep.
    """

    forward: float = Field(default=1.3, gt=0)
    whiteness: float = Field(default=1.7, gt=0)
    invention: float = Field(default=0.01, gt=0, lt=1)
    contradiction: float = Field(default=0.001, gt=0, lt=1)
    planted: float = Field(default=0.5, gt=0, lt=1)
    coverage: tuple[float, float] = (0.9, 0.99)
    likeness: float = Field(default=1.5, gt=0)


class Finding(Message):
    """One check of one method.

    Attributes
    ----------
    value
        The figure; None where the check does not apply or cannot be made.
    limit
        In words, such as "at most 0.01".
    holds
        Whether the value is within the limit; None where there is no value.
    told
        The finding as a sentence.
    """

    check: Check
    value: float | None
    limit: str
    holds: bool | None
    told: str

    @classmethod
    def at_most(cls, check: Check, value: float, limit: float, told: str) -> Self:
        """Hold a figure against its upper limit."""
        holds = bool(value <= limit)
        return cls(check=check, value=value, limit=f"at most {limit:g}", holds=holds, told=told)

    @classmethod
    def none(cls, check: Check, why: str, limit: str = "") -> Self:
        """Say why a check does not apply or cannot be made."""
        return cls(check=check, value=None, limit=limit, holds=None, told=why)

    @property
    def line(self) -> str:
        """Figure, limit, answer and meaning in one line."""
        value = "-" if self.value is None else f"{self.value:.4g}"
        answer = {True: "holds", False: "FAILS", None: "-"}[self.holds]
        return f"{self.check:30} {value:>8} {self.limit:15} {answer:6} {self.told}"


def failed(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Those that do not hold; a check that does not apply fails nobody."""
    return tuple(finding for finding in findings if finding.holds is False)
