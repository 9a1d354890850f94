"""From references to methods that run, and from stored images to cases; torch is imported on first use."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.method import Method
from benchmark.splits import Split
from coordinator.errors import CannotAssess
from coordinator.records import Finding
from coordinator.store.values import Campaign, Instrument, StoredImage
from coordinator.workplace import Workplace
from model_library.images.frame import Grey
from model_library.wire.methods import MethodRef, NetworkRef
from model_library.wire.tasks import Task

if TYPE_CHECKING:
    from benchmark.cases import Case
    from model_library.degradation.noise import NoiseModel
    from model_library.zoo.registry import Library


def instrument_of(place: Workplace, campaign: Campaign) -> Instrument:
    """Look up whom a campaign is for."""
    instrument = place.identities.find(campaign.instrument_id)
    assert instrument is not None
    return instrument


def library_of(place: Workplace) -> "Library":
    """Open the library of pre-trained networks."""
    from model_library.zoo.registry import Library

    return Library(place.library)


def network_folder(place: Workplace, ref: NetworkRef) -> Path:
    """Folder of a network version: made here, or of the library."""
    own = place.settings.networks / ref.weights_sha256
    return own if own.is_dir() else library_of(place).path(ref.id)


def method_of(place: Workplace, ref: MethodRef, task: Task) -> Method:
    """Build the method that a reference names."""
    if isinstance(ref, NetworkRef):
        from model_library.inference.engine import NetworkMethod, load_network

        settings = place.settings
        network = load_network(network_folder(place, ref))
        return NetworkMethod(network, tile_px=settings.assessment.tile_px, threads=settings.threads)
    from benchmark.baselines import classical

    return classical(ref, task)


def images_of(place: Workplace, campaign: Campaign, split: Split) -> tuple[StoredImage, ...]:
    """Images of a campaign that belong to a split, as gathered when it began."""
    found = (place.images.get(image_id) for image_id in campaign.findings[Finding.IMAGES])
    return tuple(image for image in found if image is not None and image.split is split)


def pixels_of(place: Workplace, images: Sequence[StoredImage]) -> tuple[tuple[str, Grey], ...]:
    """Read accepted images: (field of view, float32 [Y, X] in counts)."""
    from model_library.images.readers import read_frame

    return tuple((image.field, read_frame(place.objects.get(image.sha256)).grey) for image in images)


def noise_of(campaign: Campaign) -> "NoiseModel":
    """Read the noise model that a campaign measured."""
    from model_library.degradation.noise import NoiseModel

    noise = campaign.findings[Finding.NOISE]
    return NoiseModel(gain=noise["gain"], read_variance=noise["read_variance"])


def cases_of(place: Workplace, campaign: Campaign, split: Split) -> "tuple[Case, ...]":
    """Cases on one crop of each image of a split; the same ones at every call.

    Raises
    ------
    CannotAssess
        No image of the campaign fell into the split.
    """
    from benchmark.cases import repeat_cases

    images = images_of(place, campaign, split)
    if not images:
        message = f"expected images in the {split} split, found none; send images of more fields of view"
        raise CannotAssess(message)
    crop_px = place.settings.assessment.crop_px
    pixels = pixels_of(place, images)
    return repeat_cases(pixels, noise_of(campaign), place.rng("cases", split), crop_px=crop_px)
