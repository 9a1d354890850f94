"""The fine-tuning of a segmenting network: from labelled images to material."""

from collections.abc import Sequence

from coordinator.annotation.cases import labelled_pixels
from coordinator.annotation.labels import Archive
from coordinator.errors import CannotAssess
from coordinator.finetune.tuning import LabelledMaterial
from coordinator.store.values import StoredImage


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
    from model_library.cards.acquisition import AcquisitionRange
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
        acquisition=AcquisitionRange.of(image.acquisition for image, _, _ in read),
    )
