"""Everything that the operator and the final report need, as one JSON object; times are ISO 8601, UTC."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from coordinator.drifting import drift_told, noticeable_told, observed_told
from coordinator.federation.overview import cohorts_told, federations_told, quarantine_told
from coordinator.records import Finding
from coordinator.store.values import Campaign, Instrument, MonitoringScore, StoredImage
from coordinator.telling import gate_told, iso, release_told
from coordinator.workplace import Workplace


def overview_of(place: Workplace) -> dict[str, Any]:
    """Compose the overview."""
    campaigns = [campaign for each in place.campaigns.ids() if (campaign := place.campaigns.get(each))]
    instruments = {instrument.id: instrument for instrument in place.identities.all()}
    return {
        "at": iso(place.clock()),
        "instruments": [_instrument(place, each) for each in instruments.values()],
        "campaigns": [_campaign(place, each, instruments[each.instrument_id]) for each in campaigns],
        "cohorts": cohorts_told(place),
        "federations": federations_told(place),
        "quarantine": quarantine_told(place),
        "repository": {"timestamp_expires_at": iso(place.repository.expires_at())},
    }


def _instrument(place: Workplace, instrument: Instrument) -> dict[str, Any]:
    images = place.images.of(instrument.id)
    current = place.releases.current(instrument.id)
    heartbeat = instrument.heartbeat
    return {
        "id": instrument.id,
        "site": instrument.site_name,
        "task": instrument.task.model_dump(mode="json"),
        "pixel_size_nm": instrument.pixel_size_nm,
        "enrolled_at": iso(instrument.enrolled_at),
        "revoked_at": iso(instrument.revoked_at),
        "last_seen_at": iso(instrument.last_seen_at),
        "heartbeat": None if heartbeat is None else heartbeat.model_dump(mode="json"),
        "noticeable": noticeable_told(place, instrument.id),
        "release_id": None if current is None else current.id,
        "release": None if current is None else release_told(current),
        "images_by_split": dict(Counter(str(image.split) for image in images)),
        "fields_by_split": {
            split: sorted({image.field for image in images if image.split == split})
            for split in sorted({str(image.split) for image in images})
        },
    }


def _campaign(place: Workplace, campaign: Campaign, instrument: Instrument) -> dict[str, Any]:
    found = campaign.findings
    releases = [each for each in place.releases.of(instrument.id) if each.campaign_id == campaign.id]
    return {
        "id": campaign.id,
        "instrument": instrument.id,
        "site": instrument.site_name,
        "task": instrument.task.model_dump(mode="json"),
        "number": campaign.number,
        "trigger": str(campaign.trigger),
        "requested": {"from_sequence": campaign.from_sequence, "count": place.settings.first_images},
        "drift": drift_told(campaign),
        "unanswered_drift": drift_told(campaign, Finding.UNANSWERED),
        "stage": campaign.stage,
        "failure": found.get(Finding.FAILURE),
        "events": [{"at": iso(e.at), "stage": e.stage, "text": e.text} for e in campaign.events],
        "pixels": found.get(Finding.PIXELS),
        "noise": found.get(Finding.NOISE),
        "selection": _selection(found.get(Finding.SELECTION)),
        "look_ahead": found.get(Finding.LOOK_AHEAD),
        "classical": found.get(Finding.CLASSICAL),
        "gates": [
            gate_told(found[name]) for name in (Finding.FIRST_GATE, Finding.FINAL_GATE) if name in found
        ],
        "first": found.get(Finding.FIRST),
        "tuned": found.get(Finding.TUNED),
        "final": found.get(Finding.FINAL),
        "releases": [release_told(each) for each in releases],
        "images": [_image(each) for each in place.images.of(instrument.id)],
        "monitoring": [_score(each) for each in place.scores.of(instrument.id)],
        "observed": observed_told(place, campaign),
    }


def _selection(selection: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if selection is None:
        return None
    return {
        "winner": selection["winner"],
        "second": selection["second"],
        "reason": selection["reason"],
        "metric": selection["metric"],
        "excluded": selection["excluded"],
        "ranking": [_ranked(selection, each) for each in selection["ranking"]],
        "cost": selection["cost"],
        "fit": selection["fit"],
    }


def _ranked(selection: Mapping[str, Any], ranked: Mapping[str, Any]) -> dict[str, Any]:
    behind, fit = ranked["behind_best"], selection["fit"]
    return {
        "network": ranked["ref"]["id"],
        "version": ranked["ref"]["version"],
        "score": ranked["score"],
        "ci95": ranked["ci95"],
        "behind_best": None if behind is None else behind["difference"],
        "behind_best_ci95": None if behind is None else behind["ci95"],
        "tied": ranked["tied"],
        "crops": ranked["crops"],
        "left": ranked["left"],
        "mpix_per_s": None if fit is None else fit["mpix_per_s"][ranked["key"]],
        "keeps_up": None if fit is None else fit["keeps_up"][ranked["key"]],
        "cost": {"flops_per_pixel": ranked["flops_per_pixel"], "seconds": ranked["seconds"]},
    }


def _image(image: StoredImage) -> dict[str, Any]:
    return {
        "sequence": image.sequence,
        "purpose": str(image.purpose),
        "field": image.field,
        "split": str(image.split),
        "sha256": image.sha256,
        "bytes": image.bytes,
        "file_name": image.file_name,
        "accepted_at": iso(image.accepted_at),
    }


def _score(score: MonitoringScore) -> dict[str, Any]:
    return {
        "sequence": score.sequence,
        "release_id": score.release_id,
        "method": None if score.method is None else score.method.model_dump(mode="json"),
        "metric": score.metric,
        "score": score.score,
        "reference": None if score.reference is None else score.reference.model_dump(mode="json"),
        "reference_score": score.reference_score,
        "perfect": score.perfect,
        "reason": score.reason,
        "at": iso(score.at),
    }
