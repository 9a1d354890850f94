"""Who learns together, and when: pure decisions from where each instrument stands."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from model_library.networks.config import NetworkConfig
from model_library.signing.digests import sha256_bytes
from model_library.wire.methods import NetworkRef
from model_library.wire.tasks import Segment, Task

PIXEL_SIZE_RANGE = 2.0
"""Within a cohort no pixel is larger than this many times the smallest."""

_ID_DIGITS = 6

Progress = Literal["idle", "under way", "ended"]
"""Of an instrument's latest campaign: waits for images, computes, or is over."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one enrolled instrument stands.

    Attributes
    ----------
    network, config
        The network in service, or the best one known where a classical algorithm is, and its
        architecture; None where there is none yet.
    willing
        Its owner lets it take part, and it was heard of lately.
    progress
        Of its latest campaign.
    acquired
        Frames acquired so far.
    quarantined
        It sent too often what cannot be used.
    occupied
        Why it is not to be disturbed now, in words; None where it may be.
    """

    instrument_id: str
    site: str
    task: Task
    network: NetworkRef | None
    config: NetworkConfig | None
    pixel_size_nm: float | None
    willing: bool
    progress: Progress
    acquired: int
    quarantined: bool = False
    occupied: str | None = None

    @property
    def obstacle(self) -> str | None:
        """Say why it could not take part now; None if it could."""
        if not self.willing:
            return "does not agree, or was not heard of lately"
        if self.quarantined:
            return "is in quarantine"
        if self.progress != "ended":
            return "its campaign has not ended"
        return self.occupied

    @property
    def ready(self) -> bool:
        """Whether it could take part now."""
        return self.obstacle is None


@dataclass(frozen=True, slots=True)
class Cohort:
    """Instruments of one restoration task, one architecture and similar pixel sizes; never empty."""

    id: str
    task: Task
    config: NetworkConfig
    pixel_size_nm: tuple[float, float] | None
    standings: tuple[Standing, ...]

    @property
    def ready(self) -> tuple[Standing, ...]:
        """Those that could take part now."""
        return tuple(each for each in self.standings if each.ready)


@dataclass(frozen=True, slots=True)
class Conditions:
    """When a cohort federates by itself: with how many, and after how many new frames of each."""

    quorum: int
    new_frames: int


def cohorts(standings: Iterable[Standing]) -> tuple[Cohort, ...]:
    """Group instruments into cohorts, sorted by id; equal instruments in any order give equal cohorts.

    From the smallest pixel on, a cohort takes in whatever is at most `PIXEL_SIZE_RANGE` times as
    large. Instruments that do not tell their pixel size form a cohort of their own.
    """
    alike: dict[tuple[str, str], list[Standing]] = {}
    for standing in standings:
        if standing.config is None or isinstance(standing.task, Segment):
            continue
        key = (standing.task.model_dump_json(), standing.config.model_dump_json())
        alike.setdefault(key, []).append(standing)
    found = [_cohort(group) for same in alike.values() for group in _by_pixel_size(same)]
    return tuple(sorted(found, key=lambda cohort: cohort.id))


def similar(pixel_size_nm: float | None, span: tuple[float, float] | None) -> bool:
    """Whether a pixel size fits to those of a cohort."""
    if pixel_size_nm is None or span is None:
        return pixel_size_nm is None and span is None
    low, high = min(pixel_size_nm, span[0]), max(pixel_size_nm, span[1])
    return high <= PIXEL_SIZE_RANGE * low


def objection(
    cohort: Cohort, everyone: Sequence[Standing], before: Mapping[str, int], conditions: Conditions
) -> str | None:
    """Say why a cohort does not federate now, or return None if it does.

    Parameters
    ----------
    everyone
        All enrolled instruments: a campaign under way may yet bring one into the cohort.
    before
        Instrument -> frames it had acquired when it was last invited.
    """
    ready = cohort.ready
    if len(ready) < conditions.quorum:
        return f"{len(ready)} of at least {conditions.quorum} instruments are willing and have a network"
    busy = [each.site for each in everyone if each.task == cohort.task and each.progress == "under way"]
    if busy:
        return f"campaigns are under way at {', '.join(sorted(busy))}"
    behind = [each.site for each in ready if _has_too_few_new_frames(each, before, conditions)]
    if behind:
        wanted = f"{conditions.new_frames} new frames since the last federation"
        return f"{', '.join(sorted(behind))} have fewer than {wanted}"
    return None


def _has_too_few_new_frames(standing: Standing, before: Mapping[str, int], conditions: Conditions) -> bool:
    known = before.get(standing.instrument_id)
    return known is not None and standing.acquired - known < conditions.new_frames


def _by_pixel_size(standings: Sequence[Standing]) -> list[list[Standing]]:
    ordered = sorted(standings, key=lambda each: (each.pixel_size_nm or 0.0, each.instrument_id))
    groups = [[each for each in ordered if each.pixel_size_nm is None]]
    smallest = 0.0
    for standing in ordered:
        size = standing.pixel_size_nm
        if size is None:
            continue
        if size > PIXEL_SIZE_RANGE * smallest:
            smallest = size
            groups.append([])
        groups[-1].append(standing)
    return [group for group in groups if group]


def _cohort(standings: Sequence[Standing]) -> Cohort:
    first = standings[0]
    assert first.config is not None
    sizes = [each.pixel_size_nm for each in standings if each.pixel_size_nm is not None]
    span = (min(sizes), max(sizes)) if sizes else None
    alike = f"{first.task.model_dump_json()}{first.config.model_dump_json()}"
    digits = sha256_bytes(alike.encode())[:_ID_DIGITS]
    scale = "any-pixel" if span is None else f"{span[0]:g}nm".replace(".", "-")
    kind, architecture = (name.replace("_", "-") for name in (first.task.kind, first.config.kind))
    return Cohort(f"{kind}-{architecture}-{digits}-{scale}", first.task, first.config, span, tuple(standings))
