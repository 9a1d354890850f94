"""From a verdict to a signed release in an instrument's channel."""

from datetime import UTC, datetime

from coordinator.methods import instrument_of, network_folder
from coordinator.records import Finding
from coordinator.store.values import Campaign, ReleasePurpose
from coordinator.verdicts import assigned_by, in_service_of
from coordinator.workplace import Workplace
from model_library.cards.card import NetworkCard
from model_library.cards.release import ReleaseManifest, channel_target, weights_target
from model_library.wire.methods import MethodRef, NetworkRef


def release_first(place: Workplace, campaign: Campaign) -> str:
    """Release what the first sitting of the gate assigned."""
    return _release(place, campaign, Finding.FIRST_GATE, ReleasePurpose.FIRST)


def release_final(place: Workplace, campaign: Campaign) -> str:
    """Release what the second sitting assigned, unless that is in service already."""
    assigned, in_service = assigned_by(campaign, Finding.FINAL_GATE), in_service_of(campaign)
    if assigned == in_service:
        first = campaign.findings[Finding.FIRST]
        place.campaigns.find_out(campaign.id, Finding.FINAL, {**first, "stays": True})
        return f"{assigned.id} {assigned.version} stays in service"
    return _release(place, campaign, Finding.FINAL_GATE, ReleasePurpose.FINAL)


def _release(place: Workplace, campaign: Campaign, gate: Finding, purpose: ReleasePurpose) -> str:
    method = assigned_by(campaign, gate)
    number = place.releases.next_number(campaign.instrument_id)
    manifest = _manifest(place, campaign, gate, method, number)
    # A manifest kept before a crash wins over the one just made, so the id and time stay.
    release = place.releases.keep(manifest, campaign.id, purpose, number)
    files = {channel_target(campaign.instrument_id): release.manifest.model_dump_json(indent=2).encode()}
    folder = None
    if isinstance(method, NetworkRef):
        folder = network_folder(place, method)
        files[weights_target(method.weights_sha256)] = (folder / "weights.safetensors").read_bytes()
    place.repository.publish(files, place.clock())
    place.releases.published(release.id, place.clock())
    finding = {
        "release_id": release.id,
        "method": method.model_dump(mode="json"),
        "folder": None if folder is None else str(folder),
        "stays": False,
    }
    place.campaigns.find_out(campaign.id, Finding(purpose.value), finding)
    return f"{release.id}: {method.id} {method.version}"


def _manifest(
    place: Workplace, campaign: Campaign, gate: Finding, method: MethodRef, number: int
) -> ReleaseManifest:
    current = place.releases.current(campaign.instrument_id)
    return ReleaseManifest(
        release_id=f"{campaign.instrument_id}-{number:04d}",
        instrument_id=campaign.instrument_id,
        task=instrument_of(place, campaign).task,
        method=method,
        card=_card(place, method) if isinstance(method, NetworkRef) else None,
        weights_target=weights_target(method.weights_sha256) if isinstance(method, NetworkRef) else None,
        reasons=tuple(campaign.findings[gate]["verdict"]["reasons"]),
        supersedes=None if current is None else current.id,
        created_at=datetime.fromtimestamp(place.clock(), UTC),
    )


def _card(place: Workplace, method: NetworkRef) -> NetworkCard:
    return NetworkCard.model_validate_json((network_folder(place, method) / "card.json").read_bytes())
