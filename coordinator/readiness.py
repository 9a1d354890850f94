"""Whether a campaign can begin, and what it waits for: its first images, for segmentation their labels."""

from dataclasses import dataclass

from coordinator.findings import instrument_of
from coordinator.records import Stage
from coordinator.stages import first_images
from coordinator.store.values import Campaign, Event
from coordinator.workplace import Workplace
from model_library.wire.tasks import Segment


@dataclass(frozen=True, slots=True)
class Readiness:
    """What of a campaign's needs is there; a campaign that needs no labels has `labels_needed` 0."""

    images: int
    images_needed: int
    labels: int = 0
    labels_needed: int = 0

    @property
    def is_ready(self) -> bool:
        """Whether the campaign can begin."""
        return self.images >= self.images_needed and self.labels >= self.labels_needed

    @property
    def lacks_labels_only(self) -> bool:
        """Whether all its first images are there, but too few of them have labels."""
        return self.images >= self.images_needed and self.labels < self.labels_needed


def readiness_of(place: Workplace, campaign: Campaign) -> Readiness:
    """Count what is there for a campaign that has not begun."""
    images, needed = first_images(place, campaign), place.settings.first_images
    if not isinstance(instrument_of(place, campaign).task, Segment):
        return Readiness(len(images), needed)
    # Imports the readers of images and of drawings, which restoration does without.
    from coordinator.annotation.labels import labelled_images

    labels_needed = min(place.settings.labelled_images, needed)
    return Readiness(len(images), needed, len(labelled_images(place, images)), labels_needed)


def ask_for_labels(place: Workplace, campaign: Campaign, found: Readiness) -> None:
    """Say that a campaign waits for labels, with a line in its history for every count of them."""
    place.campaigns.leave(campaign.id, Stage.WAITING, Stage.LABELLING)
    event = Event(place.clock(), Stage.LABELLING, _asked(place, campaign, found))
    place.campaigns.note(campaign.id, f"{Stage.LABELLING}/{found.labels}", event)


def _asked(place: Workplace, campaign: Campaign, found: Readiness) -> str:
    command = "synoptic coordinator annotations"
    where = f"--data {place.settings.data} --instrument {campaign.instrument_id}"
    return (
        f"{found.labels} of at least {found.labels_needed} images with labels are there; import more with "
        f"`{command} import FILE {where}`; `{command} export --predict --out task.zip {where}` gives "
        "images to label, with what the library finds on them"
    )
