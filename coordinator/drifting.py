"""Watching returned images for drift, and opening the campaign that answers it."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from benchmark.observation import (
    Observation,
    brightness,
    brightness_weights,
    observe,
    relative_noise,
)
from coordinator.findings import latest_campaign, measured_campaign, noise_of
from coordinator.records import ENDED, Finding, Stage
from coordinator.score_series import score_series
from coordinator.store.values import (
    Campaign,
    Event,
    Opening,
    StoredImage,
    StoredObservation,
    Trigger,
)
from coordinator.stored_frames import pixels_of
from coordinator.telling import iso
from coordinator.workplace import Workplace
from model_library.wire.images import ImagePurpose

if TYPE_CHECKING:
    from benchmark.drift import Drift, Series
    from benchmark.drift_policy import DriftPolicy


def look_at(place: Workplace, image: StoredImage) -> None:
    """Keep what a returned image shows of its instrument.

    Raises
    ------
    UnsupportedImage, NonFinitePixels
        It is too small to measure noise on, or not finite.
    """
    [(_, pixels)] = pixels_of(place.objects, [image])
    place.observations.keep(image, observe(pixels))


def answer(place: Workplace, instrument_id: str) -> str | None:
    """Open the instrument's next campaign if its returned images show a drift; returns its id.

    Nothing is opened while a campaign is under way: the images are looked at again when it is over.
    Where the operator wants no campaigns of it, the latest one keeps the drift, once.
    """
    latest = latest_campaign(place, instrument_id)
    automatic = place.settings.drift.automatic
    if latest.stage not in ENDED or (not automatic and Finding.UNANSWERED in latest.findings):
        return None
    drift = drift_of(place, latest)
    if drift is None:
        return None
    now = place.clock()
    kept = {**drift.model_dump(mode="json"), "at": now}
    if not automatic:
        text = f"{_told(drift)}; no campaign answers it, since [drift] automatic is false"
        place.campaigns.find_out(latest.id, Finding.UNANSWERED, kept)
        place.campaigns.note(latest.id, "unanswered drift", Event(now, latest.stage, text))
        return None
    opening = Opening(instrument_id, latest.number + 1, Trigger.DRIFT, drift.onset_sequence)
    campaign_id = place.campaigns.open(opening, Stage.WAITING, now, {Finding.DRIFT.value: kept})
    place.campaigns.note(campaign_id, "opened", Event(now, Stage.WAITING, _told(drift)))
    return campaign_id


def drift_of(place: Workplace, latest: Campaign) -> "Drift | None":
    """Tell whether the images returned since a campaign's first images show a drift."""
    from benchmark.drift import detect

    return detect(series_of(place, latest), policy_of(place))


def noticeable_told(place: Workplace, instrument_id: str) -> list[dict[str, Any]]:
    """List, as JSON, the smallest changes of an instrument that three returned images would show."""
    from benchmark.noticeable import noticeable

    if not place.campaigns.of(instrument_id):
        return []
    series = series_of(place, latest_campaign(place, instrument_id))
    return [
        {**each.model_dump(mode="json"), "words": each.told} for each in noticeable(series, policy_of(place))
    ]


def drift_told(campaign: Campaign, found: Finding = Finding.DRIFT) -> dict[str, Any] | None:
    """Tell, as JSON, the drift that opened a campaign, or the unanswered one; None where there is none."""
    drift = campaign.findings.get(found)
    if drift is None:
        return None
    return {**drift, "at": iso(drift["at"]), "campaign": campaign.id, "instrument": campaign.instrument_id}


def observed_told(place: Workplace, campaign: Campaign) -> list[dict[str, Any]]:
    """Tell, as JSON, what the instrument's images showed, relative to what a campaign measured.

    `noise` is 1 as measured, `brightness` is in counts, `sharpness` None without edges. Images of other
    campaigns are among them.
    """
    if Finding.NOISE not in campaign.findings:
        return []
    noise = noise_of(campaign)
    seen, first = place.observations.of(campaign.instrument_id), {*campaign.findings[Finding.IMAGES]}
    weights = brightness_weights([each.seen for each in seen if each.image_id in first], noise)
    return [
        {
            "sequence": each.sequence,
            "purpose": str(each.purpose),
            "noise": relative_noise(each.seen, noise),
            "brightness": brightness(each.seen, noise, weights),
            "sharpness": each.seen.sharpness,
        }
        for each in seen
    ]


def policy_of(place: Workplace) -> "DriftPolicy":
    """Tell when returned images count as a drift."""
    from benchmark.drift_policy import DriftPolicy

    return DriftPolicy(allowance=place.settings.drift.allowance, threshold=place.settings.drift.threshold)


def series_of(place: Workplace, latest: Campaign) -> "tuple[Series, ...]":
    """Collect what is watched since an instrument's latest campaign: noise, brightness, sharpness, scores.

    The baseline is what the last campaign that measured the noise saw; its own first images, and
    those of a later one that failed, are not held against it.
    """
    from benchmark.drift import Series
    from benchmark.drift_policy import Feature

    measured = measured_campaign(place, latest.instrument_id)
    if measured is None:
        return ()
    noise, policy = noise_of(measured), policy_of(place)
    seen = place.observations.of(latest.instrument_id)
    first = {*measured.findings[Finding.IMAGES]}
    before = [each for each in seen if each.image_id in first]
    after = _since(place, latest, seen)
    weights = brightness_weights([each.seen for each in before], noise)

    def series(feature: Feature, measure: Callable[[Observation], float | None]) -> Series:
        known = (measure(each.seen) for each in before)
        observed = ((each.sequence, measure(each.seen)) for each in after)
        return Series(
            feature,
            tuple(value for value in known if value is not None),
            tuple((sequence, value) for sequence, value in observed if value is not None),
            policy.floor(feature),
        )

    return (
        series(Feature.NOISE, lambda seen: relative_noise(seen, noise)),
        series(Feature.BRIGHTNESS, lambda seen: brightness(seen, noise, weights)),
        series(Feature.SHARPNESS, lambda seen: seen.sharpness),
        *score_series(place, measured, {each.sequence for each in after}, policy),
    )


def _since(place: Workplace, latest: Campaign, seen: Sequence[StoredObservation]) -> list[StoredObservation]:
    asked = [image.sequence for image in place.images.of(latest.instrument_id, ImagePurpose.FIRST)]
    last = max(asked, default=0)
    return [each for each in seen if each.purpose is ImagePurpose.BENCHMARK and each.sequence > last]


def _told(drift: "Drift") -> str:
    return (
        f"drift: {drift.told} from frame {drift.onset_sequence} on, told from chance at frame"
        f" {drift.detected_sequence} (sum {drift.statistic:.1f}, limit {drift.threshold:.1f})"
    )
