"""The fine-tuning of a segmenting network: from labelled images to material and configuration."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from coordinator.annotation.cases import labelled_pixels
from coordinator.annotation.labels import Archive
from coordinator.errors import CannotAssess
from coordinator.finetune.tuning import LabelledMaterial
from coordinator.settings import Settings
from coordinator.store.values import StoredImage

if TYPE_CHECKING:
    from model_library.training.fit import FitConfig

LEARNING_RATE = 1e-3
"""Labels pull harder than recorrupted pairs: see docs/decisions/0011."""


def labelled_material(
    archive: Archive, images: Sequence[StoredImage], fields: Sequence[str], site_name: str
) -> LabelledMaterial:
    """Collect the labelled ones among the tuning images of a campaign.

    Parameters
    ----------
    archive
        Usually the `Workplace`.
    images
        Of the tuning split.
    fields
        How the card will name the fields of view that the network has seen.
    site_name
        For the card.

    Raises
    ------
    CannotAssess
        No image has labels.
    """
    from model_library.cards.card import TrainingData
    from model_library.training.material import MaterialImage

    read = labelled_pixels(archive, images)
    if not read:
        message = (
            "expected labelled images in the tuning split, found none; label images of more fields of view"
        )
        raise CannotAssess(message)
    return LabelledMaterial(
        images=[
            MaterialImage(image.file_name, pixels, image.pixel_size_nm, classes)
            for image, pixels, classes in read
        ],
        data=TrainingData(
            source=f"labelled images of {site_name}",
            terms="of the site; not distributed",
            images=len(read),
            digests=tuple(image.sha256 for image, _, _ in read),
            simulated=False,
        ),
        fields=tuple(fields),
    )


def labelled_fit_config(settings: Settings) -> "FitConfig":
    """Training configuration of this coordinator for labels."""
    from model_library.training.fit import FitConfig

    tuning = settings.tuning
    return FitConfig(
        steps=tuning.steps,
        batch=tuning.batch,
        patch_px=tuning.patch_px,
        learning_rate=LEARNING_RATE,
        seed=settings.seed,
        loss="cross_entropy",
    )
