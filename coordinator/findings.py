"""What a campaign knows: whom it is for, what it gathered, which noise it measured."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from benchmark.splits import Split
from coordinator.records import Finding
from coordinator.store.values import Campaign, Instrument, StoredImage
from coordinator.workplace import Workplace

if TYPE_CHECKING:
    from model_library.degradation.noise import NoiseModel


def instrument_of(place: Workplace, campaign: Campaign) -> Instrument:
    """Look up whom a campaign is for."""
    instrument = place.identities.find(campaign.instrument_id)
    assert instrument is not None
    return instrument


def latest_campaign(place: Workplace, instrument_id: str) -> Campaign:
    """Read the latest campaign of an enrolled instrument, whatever its stage."""
    return next(_latest_first(place, instrument_id))


def measured_campaign(place: Workplace, instrument_id: str, sequence: int | None = None) -> Campaign | None:
    """Find the latest campaign that measured the noise, for frames before a change the one before it.

    Parameters
    ----------
    sequence
        Of a frame: only campaigns that began at it or before it count.
    """
    for campaign in _latest_first(place, instrument_id):
        begun = sequence is None or campaign.from_sequence <= sequence
        if begun and Finding.NOISE in campaign.findings:
            return campaign
    return None


def _latest_first(place: Workplace, instrument_id: str) -> Iterator[Campaign]:
    for campaign_id in reversed(place.campaigns.of(instrument_id)):
        campaign = place.campaigns.get(campaign_id)
        assert campaign is not None
        yield campaign


def images_of(place: Workplace, campaign: Campaign, split: Split) -> tuple[StoredImage, ...]:
    """Images of a campaign that belong to a split, as gathered when it began."""
    return tuple(image for image in gathered(place, campaign) if image.split is split)


def gathered(place: Workplace, campaign: Campaign) -> tuple[StoredImage, ...]:
    """Images of a campaign, as gathered when it began."""
    found = (place.images.get(image_id) for image_id in campaign.findings[Finding.IMAGES])
    return tuple(image for image in found if image is not None)


def noise_of(campaign: Campaign) -> "NoiseModel":
    """Read the noise model that a campaign measured."""
    from model_library.degradation.noise import NoiseModel

    noise = campaign.findings[Finding.NOISE]
    return NoiseModel(gain=noise["gain"], read_variance=noise["read_variance"])
