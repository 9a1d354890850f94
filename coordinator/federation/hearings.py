"""What each instrument of a cohort brings before the gate: what serves it, its campaign, its images."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmark.splits import Split
from benchmark.verdict import Role
from coordinator.cases import restoring_cases
from coordinator.errors import CannotAssess
from coordinator.federation.cohorts import Standing, similar
from coordinator.federation.membership import finished, standings
from coordinator.federation.records import Start
from coordinator.findings import noise_of
from coordinator.methods import card_of
from coordinator.records import Finding as CampaignFinding
from coordinator.stages import classical_refs, selected
from coordinator.store.values import Campaign, Federation, Instrument, Release, StoredImage
from coordinator.workplace import Workplace
from model_library.wire.images import ImagePurpose
from model_library.wire.methods import MethodRef, NetworkRef

if TYPE_CHECKING:
    from benchmark.cases import Case


@dataclass(frozen=True, slots=True)
class Hearing:
    """One instrument before the gate, with what is in service and the campaign that knows its images."""

    instrument: Instrument
    release: Release
    campaign: Campaign


def concerned(place: Workplace, federation: Federation) -> tuple[Standing, ...]:
    """Find the cohort as it is now: a campaign may have brought an instrument in since the beginning."""
    start = Start.model_validate_json(federation.start)
    return tuple(
        each
        for each in standings(place)
        if each.task == start.task
        and each.config == start.config
        and similar(each.pixel_size_nm, start.pixel_size_nm)
    )


def hearing_of(place: Workplace, standing: Standing, release: Release | None) -> Hearing:
    """Call an instrument before the gate.

    Raises
    ------
    CannotAssess
        A campaign of its own is under way, or none ever ended.
    """
    instrument = place.identities.find(standing.instrument_id)
    campaign = finished(place, standing.instrument_id)
    if standing.progress != "ended" or campaign is None:
        message = "expected no campaign of its own under way, found one; it keeps its own network"
        raise CannotAssess(message)
    assert instrument is not None
    assert release is not None
    return Hearing(instrument, release, campaign)


def rivals_of(hearing: Hearing) -> dict[Role, tuple[MethodRef, ...]]:
    """Name whom a network of the federation is judged against."""
    in_service = hearing.release.manifest.method
    return {
        Role.IN_SERVICE: (in_service,),
        Role.SECOND: second(hearing.campaign, in_service),
        Role.CLASSICAL: classical_refs(hearing.campaign),
    }


def local_only(campaign: Campaign) -> NetworkRef | None:
    """Name the network that an instrument's own campaign tuned, on its images alone."""
    tuned = campaign.findings.get(CampaignFinding.TUNED)
    return None if tuned is None else NetworkRef.model_validate(tuned["method"])


def second(campaign: Campaign, in_service: MethodRef) -> tuple[NetworkRef, ...]:
    """Name another network of the instrument: the one that its campaign tuned, or else selected."""
    refs = (local_only(campaign), *selected(campaign))
    return tuple(ref for ref in refs if ref is not None and ref != in_service)[:1]


def gate_cases(
    place: Workplace,
    federation: Federation,
    hearing: Hearing,
    networks: Iterable[MethodRef],
    most: int | None = None,
) -> "tuple[Case, ...]":
    """Cases on the images kept for the gate, of fields of view that no network at hand was tuned on.

    Parameters
    ----------
    networks
        Those at hand.
    most
        No more images than this, the newest; None: all.

    Raises
    ------
    CannotAssess
        There is no such image.
    """
    images = gate_images(place, hearing, tuned_on(place, hearing.instrument.id, networks))
    images = images if most is None else images[-most:]
    if not images:
        message = "expected images for the gate, found none of fields that were never tuned on"
        raise CannotAssess(f"{message}; it keeps its own network")
    rng = place.rng("federation", federation.id, hearing.instrument.id)
    return restoring_cases(place, images, noise_of(hearing.campaign), rng)


def tuned_on(place: Workplace, instrument_id: str, refs: Iterable[MethodRef]) -> frozenset[str]:
    """Collect the fields of view of an instrument that any of these methods was tuned on."""
    lineages = [card_of(place, ref).lineage for ref in refs if isinstance(ref, NetworkRef)]
    fields = {field for each in lineages if each is not None for field in each.tuned_fields}
    prefix = f"{instrument_id}/"
    return frozenset(field.removeprefix(prefix) for field in fields if field.startswith(prefix))


def gate_images(place: Workplace, hearing: Hearing, tuned: frozenset[str]) -> tuple[StoredImage, ...]:
    """Choose images of the gate's split, each frame once, no older than the instrument's last change."""
    chosen: dict[int, StoredImage] = {}
    for purpose in (ImagePurpose.FIRST, ImagePurpose.BENCHMARK):
        for image in place.images.of(hearing.instrument.id, purpose):
            recent = image.sequence >= hearing.campaign.from_sequence
            if recent and image.split is Split.GATE and image.field not in tuned:
                chosen.setdefault(image.sequence, image)
    return tuple(chosen[sequence] for sequence in sorted(chosen))
