"""The gate of a federation: at every instrument of the cohort, also where it took no part; then releases."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmark.splits import Split
from benchmark.verdict import Role
from coordinator.errors import CannotAssess
from coordinator.federation.cohorts import Standing, similar
from coordinator.federation.membership import finished, standings
from coordinator.federation.records import Finding, Stage, Start
from coordinator.methods import card_of, noise_of, restoring_cases
from coordinator.records import Finding as CampaignFinding
from coordinator.releases import publishing
from coordinator.stages import classical_refs, selected
from coordinator.store.values import (
    Campaign,
    Event,
    Federation,
    Instrument,
    Release,
    ReleasePurpose,
    StoredImage,
)
from coordinator.verdicts import Look, looks_before, sit
from coordinator.workplace import Workplace
from model_library.errors import SynopticError
from model_library.wire.images import ImagePurpose
from model_library.wire.methods import MethodRef, NetworkRef

if TYPE_CHECKING:
    from benchmark.cases import Case

_URGENCY = 6
"""As returned images: after the stages that lead to an instrument's first release."""


@dataclass(frozen=True, slots=True)
class _Hearing:
    """One instrument before the gate, with what is in service and the campaign that knows its images."""

    instrument: Instrument
    release: Release
    campaign: Campaign


def judge_all(place: Workplace, federation: Federation) -> str:
    """Judge the federated network at each instrument of the cohort that was not judged yet."""
    gates = dict(federation.findings.get(Finding.GATES, {}))
    not_judged = dict(federation.findings.get(Finding.NOT_JUDGED, {}))
    for standing in _concerned(place, federation):
        if standing.instrument_id in gates.keys() | not_judged.keys():
            continue
        with place.turns.turn(_URGENCY, place.check):
            record = _judge(place, federation, standing)
        (gates if "verdict" in record else not_judged)[standing.instrument_id] = record
        place.federations.find_out(federation.id, Finding.GATES, gates)
        place.federations.find_out(federation.id, Finding.NOT_JUDGED, not_judged)
        _note(place, federation, Stage.GATES, record, record["reasons"][0])
    records = [*gates.values(), *not_judged.values()]
    passed, refused = (_sites(each for each in records if each["passed"] is told) for told in (True, False))
    return f"passed at {passed}; not at {refused}"


def release_all(place: Workplace, federation: Federation) -> str:
    """Release the federated network wherever it passed; the others keep what they have, and why is told."""
    releases = dict(federation.findings.get(Finding.RELEASES, {}))
    judged = {**federation.findings[Finding.GATES], **federation.findings[Finding.NOT_JUDGED]}
    for instrument_id, gate in judged.items():
        if instrument_id in releases:
            continue
        releases[instrument_id] = record = _release(place, federation, instrument_id, gate)
        place.federations.find_out(federation.id, Finding.RELEASES, releases)
        given = "keeps its own" if record["release_id"] is None else f"is given {record['release_id']}"
        _note(place, federation, Stage.RELEASES, record, f"{given}: {record['reasons'][0]}")
    return f"released at {_sites(each for each in releases.values() if each['release_id'] is not None)}"


def _sites(records: Iterable[Mapping[str, Any]]) -> str:
    return ", ".join(each["site"] for each in records) or "no site"


def network_of(federation: Federation) -> NetworkRef:
    """Tell which network came of the rounds."""
    return NetworkRef.model_validate(federation.findings[Finding.NETWORK])


def _concerned(place: Workplace, federation: Federation) -> tuple[Standing, ...]:
    """Find the cohort as it is now: a campaign may have brought an instrument in since the beginning."""
    start = Start.model_validate_json(federation.start)
    return tuple(
        each
        for each in standings(place)
        if each.task == start.task
        and each.config == start.config
        and similar(each.pixel_size_nm, start.pixel_size_nm)
    )


def _judge(place: Workplace, federation: Federation, standing: Standing) -> dict[str, Any]:
    """Judge at one instrument; what cannot be judged has not passed, and the reason says why."""
    release = place.releases.current(standing.instrument_id)
    told = {
        "site": standing.site,
        "instrument": standing.instrument_id,
        "release_in_service": None if release is None else release.id,
    }
    try:
        sitting = _sit(place, federation, _hearing(place, standing, release))
    except SynopticError as refusal:
        return {**told, "passed": False, "reasons": [str(refusal)]}
    verdict = sitting["verdict"]
    return {**told, "passed": verdict["passed"], "reasons": verdict["reasons"], **sitting}


def _hearing(place: Workplace, standing: Standing, release: Release | None) -> _Hearing:
    instrument = place.identities.find(standing.instrument_id)
    campaign = finished(place, standing.instrument_id)
    if standing.progress != "ended" or campaign is None:
        message = "expected no campaign of its own under way, found one; it keeps its own network"
        raise CannotAssess(message)
    assert instrument is not None
    assert release is not None
    return _Hearing(instrument, release, campaign)


def _sit(place: Workplace, federation: Federation, hearing: _Hearing) -> dict[str, Any]:
    candidate = network_of(federation)
    if hearing.release.manifest.method == candidate:
        raise CannotAssess("expected a network other than the one in service, found that very one; it stays")
    look = Look(
        looks_before(place, hearing.instrument.id) + 1,
        tie_share=place.settings.federation.tie_share,
    )
    rivals = _rivals(hearing)
    tuned = _tuned_on(
        place, hearing.instrument.id, (candidate, *rivals[Role.IN_SERVICE], *rivals[Role.SECOND])
    )
    cases = _cases(place, federation, hearing, tuned)
    return sit(place, hearing.instrument, candidate, rivals, cases, look)


def _rivals(hearing: _Hearing) -> dict[Role, tuple[MethodRef, ...]]:
    in_service = hearing.release.manifest.method
    return {
        Role.IN_SERVICE: (in_service,),
        Role.SECOND: _second(hearing.campaign, in_service),
        Role.CLASSICAL: classical_refs(hearing.campaign),
    }


def _second(campaign: Campaign, in_service: MethodRef) -> tuple[NetworkRef, ...]:
    """Name another network of the instrument: the one that its campaign tuned, or else selected."""
    tuned = campaign.findings.get(CampaignFinding.TUNED)
    refs = (None if tuned is None else NetworkRef.model_validate(tuned["method"]), *selected(campaign))
    return tuple(ref for ref in refs if ref is not None and ref != in_service)[:1]


def _cases(
    place: Workplace, federation: Federation, hearing: _Hearing, tuned: frozenset[str]
) -> "tuple[Case, ...]":
    """Cases on the images kept for the gate, of fields of view that no network at hand was tuned on."""
    images = _gate_images(place, hearing, tuned)
    if not images:
        message = "expected images for the gate, found none of fields that were never tuned on"
        raise CannotAssess(f"{message}; it keeps its own network")
    rng = place.rng("federation", federation.id, hearing.instrument.id)
    return restoring_cases(place, images, noise_of(hearing.campaign), rng)


def _tuned_on(place: Workplace, instrument_id: str, refs: Iterable[MethodRef]) -> frozenset[str]:
    """Collect the fields of view of an instrument that any of these methods was tuned on."""
    lineages = [card_of(place, ref).lineage for ref in refs if isinstance(ref, NetworkRef)]
    fields = {field for each in lineages if each is not None for field in each.tuned_fields}
    prefix = f"{instrument_id}/"
    return frozenset(field.removeprefix(prefix) for field in fields if field.startswith(prefix))


def _gate_images(place: Workplace, hearing: _Hearing, tuned: frozenset[str]) -> tuple[StoredImage, ...]:
    """Choose images of the gate's split, each frame once, no older than the instrument's last change."""
    chosen: dict[int, StoredImage] = {}
    for purpose in (ImagePurpose.FIRST, ImagePurpose.BENCHMARK):
        for image in place.images.of(hearing.instrument.id, purpose):
            recent = image.sequence >= hearing.campaign.from_sequence
            if recent and image.split is Split.GATE and image.field not in tuned:
                chosen.setdefault(image.sequence, image)
    return tuple(chosen[sequence] for sequence in sorted(chosen))


def _release(
    place: Workplace, federation: Federation, instrument_id: str, gate: Mapping[str, Any]
) -> dict[str, Any]:
    """Release at one instrument, or say why it keeps its own."""
    told = {"site": gate["site"], "instrument": instrument_id}
    instrument = place.identities.find(instrument_id)
    current = place.releases.current(instrument_id)
    begun = any(each.campaign_id == federation.id for each in place.releases.of(instrument_id))
    stays = None if current is None else current.manifest.method.model_dump(mode="json")
    kept = {**told, "release_id": None, "method": stays}
    if not gate["passed"]:
        return {**kept, "reasons": gate["reasons"]}
    if instrument is None or instrument.revoked_at is not None:
        return {**kept, "reasons": ["the instrument was revoked in the meantime"]}
    if not begun and (current is None or current.id != gate["release_in_service"]):
        return {**kept, "reasons": ["another release came in between; the verdict was on the one before"]}
    network = network_of(federation)
    release = publishing.release_assigned(
        place, instrument, network, gate["reasons"], federation.id, ReleasePurpose.FEDERATED
    )
    done = {"release_id": release.id, "method": network.model_dump(mode="json"), "reasons": gate["reasons"]}
    return {**told, **done}


def _note(
    place: Workplace, federation: Federation, stage: Stage, record: Mapping[str, Any], text: str
) -> None:
    event = Event(place.clock(), stage, f"{record['site']}: {text}")
    place.federations.note(federation.id, f"{stage}/{record['instrument']}", event)
