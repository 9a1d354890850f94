"""From references to methods that run, and from stored images to cases; torch is imported on first use."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmark.method import Method
from benchmark.served import Sized
from benchmark.splits import Split
from coordinator.errors import CannotAssess
from coordinator.records import Finding
from coordinator.store.values import Campaign, Instrument, StoredImage
from coordinator.stored_frames import read_stored
from coordinator.workplace import Workplace
from model_library.cards.card import NetworkCard
from model_library.images.frame import Grey
from model_library.wire.methods import MethodRef, NetworkRef
from model_library.wire.tasks import Segment, Task

if TYPE_CHECKING:
    from benchmark.cases import Case
    from model_library.degradation.noise import NoiseModel
    from model_library.zoo.registry import Library


_CROPS_TO_RACE_ON = 4
"""Of each image: enough for a race to tell near-ties by, and only they run them all."""


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


def library_of(place: Workplace) -> "Library":
    """Open the library of pre-trained networks."""
    from model_library.zoo.registry import Library

    return Library(place.library)


def network_folder(place: Workplace, ref: NetworkRef) -> Path:
    """Folder of a network version: made here, or of the library."""
    own = place.settings.networks / ref.weights_sha256
    return own if own.is_dir() else library_of(place).path(ref.id)


def card_of(place: Workplace, ref: NetworkRef) -> NetworkCard:
    """Read the card of a network version."""
    return NetworkCard.model_validate_json((network_folder(place, ref) / "card.json").read_bytes())


def networks_for(place: Workplace, task: Task) -> tuple[NetworkCard, ...]:
    """Cards of all networks that do this very task: those of the library, then those returned to it."""
    known = library_of(place).for_task(task)
    returned = tuple(card_of(place, each.ref) for each in place.returned.for_task(task))
    digests = {card.weights_sha256 for card in known}
    return (*known, *(card for card in returned if card.weights_sha256 not in digests))


def method_of(place: Workplace, ref: MethodRef, task: Task) -> Method:
    """Build the method that a reference names; a network knows the pixel sizes that it was made for."""
    if not isinstance(ref, NetworkRef):
        from benchmark.baselines import classical

        return classical(ref, task)
    from model_library.inference.engine import NetworkMethod, load_network

    settings = place.settings
    network = load_network(network_folder(place, ref))
    wanted_nm = network.card.pixel_size_nm
    if isinstance(task, Segment):
        import torch

        from benchmark.networks import SegmentingMethod

        torch.set_num_threads(settings.threads)
        return Sized(SegmentingMethod(network), wanted_nm, gives_labels=True)
    method = NetworkMethod(network, tile_px=settings.assessment.tile_px, threads=settings.threads)
    return Sized(method, wanted_nm)


def images_of(place: Workplace, campaign: Campaign, split: Split) -> tuple[StoredImage, ...]:
    """Images of a campaign that belong to a split, as gathered when it began."""
    return tuple(image for image in gathered(place, campaign) if image.split is split)


def gathered(place: Workplace, campaign: Campaign) -> tuple[StoredImage, ...]:
    """Images of a campaign, as gathered when it began."""
    found = (place.images.get(image_id) for image_id in campaign.findings[Finding.IMAGES])
    return tuple(image for image in found if image is not None)


def pixels_of(place: Workplace, images: Sequence[StoredImage]) -> tuple[tuple[str, Grey], ...]:
    """Read accepted images: (field of view, float32 [Y, X] in counts)."""
    return tuple((image.field, read_stored(place.objects, image).grey) for image in images)


def noise_of(campaign: Campaign) -> "NoiseModel":
    """Read the noise model that a campaign measured."""
    from model_library.degradation.noise import NoiseModel

    noise = campaign.findings[Finding.NOISE]
    return NoiseModel(gain=noise["gain"], read_variance=noise["read_variance"])


def cases_of(place: Workplace, campaign: Campaign, split: Split) -> "tuple[Case, ...]":
    """Cases on the images of a split; the same ones at every call.

    For restoration they are one crop of each image and need no truth; for segmentation they are the
    images on which every class is labelled.

    Raises
    ------
    CannotAssess
        No image of the campaign, or none with labels, fell into the split.
    """
    images = images_of(place, campaign, split)
    if isinstance(instrument_of(place, campaign).task, Segment):
        from coordinator.annotation.cases import labelled_cases

        cases = labelled_cases(place, images)
        if not cases:
            message = (
                f"expected images in the {split} split on which every class is labelled, found none; label "
                "more fields, or import with --complete if what is not drawn is background"
            )
            raise CannotAssess(message)
        return cases
    if not images:
        message = f"expected images in the {split} split, found none; send images of more fields of view"
        raise CannotAssess(message)
    return restoring_cases(place, images, noise_of(campaign), place.rng("cases", split))


def restoring_cases(
    place: Workplace, images: Sequence[StoredImage], noise: "NoiseModel", rng: np.random.Generator
) -> "tuple[Case, ...]":
    """Cases on one crop of each image, by recorruption; see `repeat_cases`."""
    from benchmark.cases import repeat_cases

    cases = repeat_cases(pixels_of(place, images), noise, rng, crop_px=place.settings.assessment.crop_px)
    return tuple(
        replace(case, pixel_size_nm=image.pixel_size_nm) for case, image in zip(cases, images, strict=True)
    )


def selection_cases(place: Workplace, campaign: Campaign) -> "tuple[Case, ...]":
    """Cases that networks are raced on; the same ones at every call.

    For restoration several crops of each tuning image, for super-resolution pairs at a coarser sampling;
    for segmentation those of `cases_of`.

    Raises
    ------
    CannotAssess
        As `cases_of`.
    """
    task = instrument_of(place, campaign).task
    if isinstance(task, Segment):
        return cases_of(place, campaign, Split.TUNING)
    from benchmark.selection.pairs import pair_cases

    images = images_of(place, campaign, Split.TUNING)
    if not images:
        message = "expected images in the tuning split, found none; send images of more fields of view"
        raise CannotAssess(message)
    return pair_cases(
        pixels_of(place, images),
        noise_of(campaign),
        place.rng("selection"),
        scale=task.scale,
        crop_px=place.settings.assessment.crop_px * max(1, task.scale // 2),
        crops=_CROPS_TO_RACE_ON,
    )
