"""Where each enrolled instrument stands, read from what the coordinator remembers."""

from collections import Counter
from collections.abc import Iterable, Mapping

from coordinator.federation.cohorts import Progress, Standing
from coordinator.federation.offences import offences
from coordinator.federation.plan import RoundRecord
from coordinator.federation.records import Finding as FederationFinding
from coordinator.federation.records import Start
from coordinator.methods import card_of
from coordinator.records import ENDED, WAITS, Finding, Stage
from coordinator.store.values import Campaign, Federation, Instrument
from coordinator.workplace import Workplace
from model_library.networks.config import NetworkConfig
from model_library.wire.methods import NetworkRef
from model_library.wire.orders import Heartbeat


def standings(place: Workplace) -> tuple[Standing, ...]:
    """Look at every instrument that is not revoked, in the order of enrolment."""
    found = offences_before(place)
    return tuple(
        _standing(place, each, found[each.id]) for each in place.identities.all() if each.revoked_at is None
    )


def offences_before(place: Workplace) -> Counter[str]:
    """Count the rounds in which each instrument sent what cannot be used, since its last quarantine ended."""
    records = (
        RoundRecord.model_validate(told)
        for rounds in place.federations.found(FederationFinding.ROUNDS)
        for told in rounds
        if told.get("offenders")
    )
    return offences(records, place.federations.lifted())


def willing(place: Workplace, instrument: Instrument) -> bool:
    """Whether an instrument may be invited: its owner agrees, and it was heard of lately."""
    heartbeat, seen = instrument.heartbeat, instrument.last_seen_at
    if instrument.revoked_at is not None or heartbeat is None or seen is None:
        return False
    return heartbeat.federates and place.clock() - seen <= place.settings.federation.heard_s


def finished(place: Workplace, instrument_id: str) -> Campaign | None:
    """Find an instrument's latest campaign that went all the way."""
    for campaign_id in reversed(place.campaigns.of(instrument_id)):
        campaign = place.campaigns.get(campaign_id)
        if campaign is not None and campaign.stage == Stage.MONITORING:
            return campaign
    return None


def progress(place: Workplace, instrument_id: str) -> Progress:
    """Say what an instrument's latest campaign is doing; it has ended only if one went all the way.

    Without such a one nothing is known of the instrument's noise, so nothing can be judged there.
    """
    ids = place.campaigns.of(instrument_id)
    latest = place.campaigns.get(ids[-1]) if ids else None
    if latest is None or latest.stage in WAITS:
        return "idle"
    if latest.stage not in ENDED:
        return "under way"
    return "idle" if finished(place, instrument_id) is None else "ended"


def invited_before(federations: Iterable[Federation]) -> Mapping[str, int]:
    """Tell how many frames each instrument had acquired when it was last invited; oldest federation first."""
    return {
        member.instrument_id: member.acquired
        for federation in federations
        for member in Start.model_validate_json(federation.start).members
    }


def _standing(place: Workplace, instrument: Instrument, offended: int) -> Standing:
    network, config = _network(place, instrument.id)
    wanted = place.settings.federation
    heartbeat = instrument.heartbeat
    return Standing(
        instrument_id=instrument.id,
        site=instrument.site_name,
        task=instrument.task,
        network=network,
        config=config,
        pixel_size_nm=instrument.pixel_size_nm,
        willing=willing(place, instrument),
        progress=progress(place, instrument.id),
        acquired=0 if heartbeat is None else heartbeat.frames.acquired,
        quarantined=offended >= wanted.quarantine_after,
        occupied=None if heartbeat is None else occupation(heartbeat, idle_only=wanted.idle_only),
    )


def occupation(heartbeat: Heartbeat, *, idle_only: bool) -> str | None:
    """Say why an instrument is not to be disturbed now; None if it may be.

    A paused site would not come online. One that acquires, or whose frames wait, would answer late: it
    is left alone where only idle ones are wanted.
    """
    if heartbeat.paused:
        return "is paused at the site"
    if idle_only and heartbeat.acquiring:
        return "acquires just now"
    if idle_only and heartbeat.frames.waiting > 0:
        return "is busy with its own frames"
    return None


def _network(place: Workplace, instrument_id: str) -> tuple[NetworkRef | None, NetworkConfig | None]:
    """Find the network in service, or where a classical algorithm is, the best that the campaign knew."""
    release = place.releases.current(instrument_id)
    if release is None:
        return None, None
    method, card = release.manifest.method, release.manifest.card
    if isinstance(method, NetworkRef):
        return method, None if card is None else card.config
    campaign = finished(place, instrument_id)
    best = None if campaign is None else best_network(campaign)
    return best, None if best is None else card_of(place, best).config


def best_network(campaign: Campaign) -> NetworkRef | None:
    """Name the network that did best at the campaign's last gate."""
    for gate in (Finding.FINAL_GATE, Finding.FIRST_GATE):
        record = campaign.findings.get(gate)
        if record is None:
            continue
        means = {name: mean for name, mean in record["means"].items() if mean is not None}
        refs = record["scores"]["refs"]
        networks = [name for name in means if refs[name]["kind"] == "network"]
        if networks:
            return NetworkRef.model_validate(refs[max(networks, key=means.__getitem__)])
    return None
