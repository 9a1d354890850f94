"""Answering an instrument whose method cannot keep up: the campaign that looks for a faster one."""

from typing import Any

from coordinator.findings import latest_campaign
from coordinator.methods import networks_for
from coordinator.records import ENDED, Finding, Stage
from coordinator.store.values import Event, Instrument, Opening, Trigger
from coordinator.workplace import Workplace
from model_library.wire.methods import NetworkRef
from model_library.wire.orders import Heartbeat

ONCE_IN_S = 24 * 3600.0
"""A release is complained about once a day: a campaign that failed is not repeated with every heartbeat."""


def answer(place: Workplace, instrument: Instrument, message: Heartbeat) -> str | None:
    """Open the instrument's next campaign if it falls behind; returns its id.

    Nothing is opened while a campaign is under way, for another release than the one in the instrument's
    channel, within a day of the last one for the same release, where a campaign looked for a faster method
    than this release before and the gate kept it (a faster one was refused), or where no network is known to
    keep up: then a campaign could only find a slower one.
    """
    current = place.releases.current(instrument.id)
    came, went = message.acquisition_mpix_per_s, message.throughput_mpix_per_s
    if not message.wants_faster or current is None or current.id != message.release_id:
        return None
    if came is None or went is None or _was_answered(place, instrument, current.id):
        return None
    latest = latest_campaign(place, instrument.id)
    if latest.stage not in ENDED or not _one_keeps_up(place, instrument, message, came):
        return None
    now = place.clock()
    told: dict[str, Any] = {
        "release_id": current.id,
        "acquisition_mpix_per_s": came,
        "throughput_mpix_per_s": went,
        "at": now,
    }
    opening = Opening(instrument.id, latest.number + 1, Trigger.PACE, message.frames.acquired + 1)
    campaign_id = place.campaigns.open(opening, Stage.WAITING, now, {Finding.PACE.value: told})
    text = f"it falls behind: {came:.3g} against {went:.3g} MPix/s with {current.id}"
    place.campaigns.note(campaign_id, "opened", Event(now, Stage.WAITING, text))
    return campaign_id


def _one_keeps_up(
    place: Workplace, instrument: Instrument, message: Heartbeat, wanted_mpix_per_s: float
) -> bool:
    """Whether the site's calibration predicts of a network not in service that it does so much."""
    if message.compute is None:
        return False
    in_service = message.method.weights_sha256 if isinstance(message.method, NetworkRef) else None
    for card in networks_for(place, instrument.task):
        speed = message.compute.mpix_per_s(card.config.kind, max(card.facts.flops_per_pixel, 1))
        if card.weights_sha256 != in_service and speed is not None and speed >= wanted_mpix_per_s:
            return True
    return False


def _was_answered(place: Workplace, instrument: Instrument, release_id: str) -> bool:
    for campaign_id in place.campaigns.of(instrument.id):
        told = place.campaigns.finding(campaign_id, Finding.PACE)
        if told is None or told["release_id"] != release_id:
            continue
        campaign = place.campaigns.get(campaign_id)
        assert campaign is not None
        if campaign.stage == Stage.MONITORING or place.clock() - told["at"] < ONCE_IN_S:
            return True
    return False
