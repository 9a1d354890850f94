"""What the gate takes and gives: entrants with scores per field of view, and a verdict with reasons."""

from enum import StrEnum

from pydantic import Field

from benchmark.compare import Comparison
from benchmark.metrics import Metric
from benchmark.scores import Scores
from benchmark.site_losses import SiteDifference
from benchmark.trust.findings import Finding
from model_library.wire.base import Message


class Role(StrEnum):
    """What a method is at the gate."""

    CANDIDATE = "candidate"
    IN_SERVICE = "in service"
    SECOND = "second network"
    CLASSICAL = "classical"


class Entrant(Message):
    """A method at the gate: its name, its role and its score per field (None = missing or not finite).

    `classical` marks a classical algorithm that is already in service; `trust` is what the trust checks
    found, where they were made.
    """

    key: str
    role: Role
    scores: dict[str, float | None]
    classical: bool = False
    trust: tuple[Finding, ...] = ()

    @classmethod
    def of(cls, scores: Scores, key: str, role: Role) -> "Entrant":
        """Take an entrant's scores from a benchmark."""
        return cls(
            key=key, role=role, scores=scores.by_field(key), classical=scores.refs[key].kind == "classical"
        )

    @property
    def is_classical(self) -> bool:
        """Whether it costs no network to run."""
        return self.classical or self.role is Role.CLASSICAL

    @property
    def finite(self) -> dict[str, float]:
        """The scores that are there."""
        return {field: value for field, value in self.scores.items() if value is not None}


class GatePolicy(Message):
    """What the gate asks for. `alpha` is the risk over all looks at one instrument together.

    `tie_share`: the candidate's interval may reach below a network in service, if its mean lies above,
    by this share of that network's lead over the best classical algorithm; a federation shares one
    network among many instruments and is allowed a tie. A share and not a figure in dB, since noise
    in the references shrinks all differences of `psnr_repeat`. Classical algorithms are given nothing.
    `site_margin_db`, `site_margin`: what a single site may at most lose, in dB or in units of the score,
    and has to be shown not to lose more than.
    """

    metric: Metric = Metric.PSNR_REPEAT
    alpha: float = Field(default=0.05, gt=0, lt=1)
    minimum_fields: int = Field(default=4, ge=2)
    tie_share: float = Field(default=0.0, ge=0, lt=1)
    site_margin_db: float = Field(default=0.1, ge=0)
    site_margin: float = Field(default=0.01, ge=0)
    seed: int = 0

    @property
    def margin(self) -> float:
        """What a site may at most lose, in the metric's unit."""
        return self.site_margin_db if self.metric.unit == "dB" else self.site_margin

    def level(self, look: int) -> float:
        """Confidence asked for at a look: 1 - alpha / (n (n + 1)), so that all looks together spend alpha."""
        return 1 - self.alpha / (look * (look + 1))


class Judged(Message):
    """The candidate against one rival; `interval` is at the verdict's level, which looks tighten."""

    rival: str
    role: Role
    comparison: Comparison
    interval: tuple[float, float]


class Verdict(Message):
    """What the gate decided, and why.

    Attributes
    ----------
    passed
        Whether the candidate may be released.
    assigned
        The method that the instrument is to use now: the candidate, or one of the rivals.
    reasons
        In plain words, with figures; the first one says what decided.
    level
        Confidence that this look asked for.
    sites
        The candidate minus what it would replace, at each site, where there are several.
    trust
        What the trust checks found of the candidate.
    """

    passed: bool
    assigned: str
    reasons: tuple[str, ...] = Field(min_length=1)
    candidate: str
    best_classical: str | None
    comparisons: tuple[Judged, ...]
    fields: int
    look: int
    level: float
    metric: Metric
    sites: tuple[SiteDifference, ...] = ()
    trust: tuple[Finding, ...] = ()
