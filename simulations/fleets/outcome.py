"""What a simulated fleet came to, as it is written to JSON."""

from collections import Counter
from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from benchmark.compare import Comparison
from coordinator.federation.plan import RoundRecord
from model_library.wire.base import Message
from model_library.wire.tasks import Segment, Task
from simulations.fleets.attacks import Attack
from simulations.fleets.judging import (
    ACQUIRED,
    DELIVERED,
    FEDERATED,
    LOCAL_ONLY,
    PERSONALISED,
    POOLED,
    FrameScores,
    Judged,
    SiteQuality,
    difference,
    mean_score,
    quality,
)

AGAINST_LOCAL = {
    FEDERATED: "against_local",
    PERSONALISED: "personalised_against_local",
    DELIVERED: "delivered_against_local",
}
"""Fields of an outcome that hold what is compared with each site alone."""

Unit = Literal["dB", "Dice points"]


class NetworkFacts(Message):
    """The network that the rounds began with."""

    name: str
    parameters: int


class Bytes(Message):
    """Bytes that left the sites and that came to them, in all rounds: arrays, plans and reports."""

    up: int
    down: int


class Memory(Message):
    """Peaks of resident memory in MiB: of the server, of everything, and of real daemons by site.

    The server is one process in the engine; of real ones, the coordinator with all that it starts.
    """

    server: float
    all: float
    sites: dict[str, float] = Field(default_factory=dict)


class LinkRound(Message):
    """What passed a site's link during a round, TLS included; `of_raw`: up, of the weights in float32."""

    number: int
    up: int
    down: int
    of_raw: float


class LinkBytes(Message):
    """What passed a site's link while the federation went on, counted between the processes.

    `updates` and `images` are those of the bytes up that the site itself counts as such; `frames` is what
    its own frames take on its disk.
    """

    up: int
    down: int
    updates: int
    images: int
    frames: int
    rounds: tuple[LinkRound, ...]


class Outage(Message):
    """A link that was cut, seconds after the federation began, for so long.

    `cause`: `drops out` once it was asked in round `number`, or `hours` in which it cannot be reached.
    """

    site: str
    cause: str
    number: int | None
    at_s: float
    seconds: float


class AttackRun(Message):
    """One kind of attack; what it cost against the run without attackers, over frames of honest sites.

    Without a `kind` nobody attacked. `dropped`: instruments of which at least one update was refused.
    `unguarded_lost`: with Flower's averaging, which examines nothing; None where that ended without a usable
    network, for `why`.
    """

    kind: Attack | None
    lost: Comparison | None
    dropped: tuple[str, ...]
    quarantined: tuple[str, ...]
    unguarded_lost: Comparison | None
    why: str | None = None

    @property
    def name(self) -> str:
        """What it is called in reports."""
        return "no attack" if self.kind is None else self.kind.value.replace("_", " ")


class VariantRun(Message):
    """The rounds with other settings: what was gained against those of the scenario, over all frames.

    `epsilon`: what a site's updates tell of its frames altogether, where they are private. `why` there is
    no difference.
    """

    name: str
    gained: Comparison | None
    mean: float | None
    epsilon: float | None
    bytes: Bytes
    why: str | None = None


class FleetOutcome(Message):
    """Everything that a simulation found.

    Scores are PSNR in dB, or Dice in points where the task is segmentation: the `unit`. `quality` is by what
    was compared, then by site; `mean` over all frames. `against_local`, `personalised_against_local` and
    `delivered_against_local` are differences per site; `delivered` tells which network each got. `of_pooled`
    is the score of the federated network by that of pooled training, `gain_of_pooled` the same of what both
    gained over the acquired frames. `virtual_s` are seconds of the simulated fleet, `seconds` those of this
    machine. With real processes there are no virtual seconds, but `links` by site, and `outages` of them.
    """

    mode: Literal["engine", "processes"] = "engine"
    scenario: str
    told: str
    unit: Unit
    seed: int
    network: NetworkFacts
    instruments: dict[str, str]
    state: str
    cause: str | None
    rounds: tuple[RoundRecord, ...]
    contributions: dict[str, int]
    quality: dict[str, dict[str, SiteQuality]]
    mean: dict[str, float]
    against_local: dict[str, Comparison] = Field(default_factory=dict)
    personalised_against_local: dict[str, Comparison] = Field(default_factory=dict)
    of_pooled: float | None = None
    gain_of_pooled: float | None = None
    delivered_against_local: dict[str, Comparison] = Field(default_factory=dict)
    delivered: dict[str, str] = Field(default_factory=dict)
    pooled_steps: int | None = None
    attacks: tuple[AttackRun, ...] = ()
    variants: tuple[VariantRun, ...] = ()
    bytes: Bytes
    rss_mb: Memory
    links: dict[str, LinkBytes] = Field(default_factory=dict)
    outages: tuple[Outage, ...] = ()
    virtual_s: float | None
    seconds: float
    stage_seconds: dict[str, float]


def unit_of(task: Task) -> Unit:
    """Name the unit of the scores of a task."""
    return "Dice points" if isinstance(task, Segment) else "dB"


def contributions(rounds: Sequence[RoundRecord], instruments: Sequence[str]) -> dict[str, int]:
    """Count the rounds to which each instrument contributed."""
    found = Counter(site for record in rounds for site in record.contributed)
    return {each: found[each] for each in instruments}


def sums(judged: Judged) -> dict[str, object]:
    """Sum up what was judged, as fields of the outcome."""
    scores = judged.scores
    means = {name: mean_score(each) for name, each in scores.items()}
    found: dict[str, object] = {
        "quality": {name: quality(each) for name, each in scores.items()},
        "mean": means,
        "pooled_steps": judged.pooled_steps,
        "delivered": judged.delivered,
    }
    if LOCAL_ONLY in scores:
        for name, field in AGAINST_LOCAL.items():
            if name in scores:
                found[field] = _per_site(scores[name], scores[LOCAL_ONLY])
    if POOLED in scores:
        gained = means[POOLED] - means[ACQUIRED]
        found["of_pooled"] = means[FEDERATED] / means[POOLED]
        found["gain_of_pooled"] = (means[FEDERATED] - means[ACQUIRED]) / gained if gained > 0 else None
    return found


def bytes_of(rounds: Sequence[RoundRecord]) -> Bytes:
    """Add up the bytes of rounds."""
    return Bytes(up=sum(each.bytes_up for each in rounds), down=sum(each.bytes_down for each in rounds))


def _per_site(a: FrameScores, b: FrameScores) -> dict[str, Comparison]:
    return {site: difference(a, b, [site]) for site in a}
