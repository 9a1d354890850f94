"""From a verdict to a signed release in an instrument's channel."""

from collections.abc import Sequence
from datetime import UTC, datetime

from coordinator.findings import instrument_of
from coordinator.methods import card_of, network_folder
from coordinator.records import Finding
from coordinator.store.values import Campaign, Instrument, Release, ReleasePurpose
from coordinator.verdicts import assigned_by, in_service_at
from coordinator.workplace import Workplace
from model_library.cards.release import ReleaseManifest, channel_target, weights_target
from model_library.wire.methods import MethodRef, NetworkRef


def release_first(place: Workplace, campaign: Campaign) -> str:
    """Release what the first sitting of the gate assigned, unless that is in service already."""
    return _release(place, campaign, Finding.FIRST_GATE, ReleasePurpose.FIRST)


def release_final(place: Workplace, campaign: Campaign) -> str:
    """Release what the second sitting assigned, unless that is in service already."""
    return _release(place, campaign, Finding.FINAL_GATE, ReleasePurpose.FINAL)


def release_assigned(
    place: Workplace,
    instrument: Instrument,
    method: MethodRef,
    reasons: Sequence[str],
    origin_id: str,
    purpose: ReleasePurpose,
) -> Release:
    """Publish a method for an instrument; doing it again for the same origin and purpose does nothing new.

    A network that was made here thereby returns to the library, except an instrument's own version.

    Parameters
    ----------
    reasons
        The gate's, in words.
    origin_id
        Id of the campaign or federation.
    """
    number = place.releases.next_number(instrument.id)
    manifest = _manifest(place, instrument, method, reasons, number)
    # A manifest kept before a crash wins over the one just made, so the id and time stay.
    release = place.releases.keep(manifest, origin_id, purpose, number)
    files = {channel_target(instrument.id): release.manifest.model_dump_json(indent=2).encode()}
    if isinstance(method, NetworkRef):
        weights = network_folder(place, method) / "weights.safetensors"
        files[weights_target(method.weights_sha256)] = weights.read_bytes()
    place.repository.publish(files, place.clock())
    place.releases.published(release.id, place.clock())
    if (
        isinstance(method, NetworkRef)
        and purpose is not ReleasePurpose.PERSONAL
        and network_folder(place, method).parent == place.settings.networks
    ):
        place.returned.add(method, instrument.task, origin_id, place.clock())
    return release


def _release(place: Workplace, campaign: Campaign, gate: Finding, purpose: ReleasePurpose) -> str:
    method = assigned_by(campaign, gate)
    current = place.releases.current(campaign.instrument_id)
    # What was in service when the gate sat: repeated after a crash, this may be in service by itself.
    stays = current is not None and method == in_service_at(campaign, gate)
    if stays:
        assert current is not None
        release, method = current, current.manifest.method
    else:
        reasons = campaign.findings[gate]["verdict"]["reasons"]
        instrument = instrument_of(place, campaign)
        release = release_assigned(place, instrument, method, reasons, campaign.id, purpose)
    folder = network_folder(place, method) if isinstance(method, NetworkRef) else None
    finding = {
        "release_id": release.id,
        "method": method.model_dump(mode="json"),
        "folder": None if folder is None else str(folder),
        "stays": stays,
    }
    place.campaigns.find_out(campaign.id, Finding(purpose.value), finding)
    told = f"{method.id} {method.version}"
    return f"{told} stays in service" if stays else f"{release.id}: {told}"


def _manifest(
    place: Workplace, instrument: Instrument, method: MethodRef, reasons: Sequence[str], number: int
) -> ReleaseManifest:
    current = place.releases.current(instrument.id)
    return ReleaseManifest(
        release_id=f"{instrument.id}-{number:04d}",
        instrument_id=instrument.id,
        task=instrument.task,
        method=method,
        card=card_of(place, method) if isinstance(method, NetworkRef) else None,
        weights_target=weights_target(method.weights_sha256) if isinstance(method, NetworkRef) else None,
        reasons=tuple(reasons),
        supersedes=None if current is None else current.id,
        created_at=datetime.fromtimestamp(place.clock(), UTC),
    )
