"""The fine-tuning stage of a campaign: from its findings to a kept network version."""

from collections.abc import Collection

from benchmark.splits import Split
from coordinator.findings import images_of, instrument_of, noise_of
from coordinator.finetune.labelled import labelled_material
from coordinator.finetune.tuning import LabelledMaterial, Material, fine_tune, keep
from coordinator.methods import network_folder
from coordinator.records import Finding, Stage
from coordinator.settings import Settings
from coordinator.stages import tuning_fields
from coordinator.store.values import Campaign, Event
from coordinator.stored_frames import pixels_of
from coordinator.workplace import Workplace
from model_library.cards.acquisition import AcquisitionRange
from model_library.cards.card import TrainingData, tuned_field
from model_library.training.fit import FitConfig, FitProgress
from model_library.training.material import MaterialImage
from model_library.wire.methods import NetworkRef
from model_library.wire.tasks import Segment, Task

_LABELLED_RATE = 1e-3
"""Labels pull harder than recorrupted pairs: see docs/decisions/0011."""


def material_of(
    place: Workplace, campaign: Campaign, of: Collection[str] | None = None
) -> Material | LabelledMaterial:
    """Collect the tuning images of a campaign, or `of` some fields; for segmentation those with labels."""
    instrument = instrument_of(place, campaign)
    images = [image for image in images_of(place, campaign, Split.TUNING) if of is None or image.field in of]
    fields = tuple(tuned_field(instrument.id, field) for field in tuning_fields(place, campaign))
    if isinstance(instrument.task, Segment):
        return labelled_material(place, images, fields, instrument.site_name)
    data = TrainingData(
        source=f"first images of {instrument.site_name}",
        terms="of the site; not distributed",
        images=len(images),
        digests=tuple(image.sha256 for image in images),
        simulated=False,
    )
    return Material(
        images=[
            MaterialImage(image.file_name, pixels, image.pixel_size_nm)
            for image, (_, pixels) in zip(images, pixels_of(place.objects, images), strict=True)
        ],
        noise=noise_of(campaign),
        data=data,
        fields=fields,
        acquisition=AcquisitionRange.of(image.acquisition for image in images),
    )


def fit_config(settings: Settings, task: Task) -> FitConfig:
    """Training configuration of a coordinator for a task."""
    tuning, labelled = settings.tuning, isinstance(task, Segment)
    return FitConfig(
        steps=tuning.steps,
        batch=tuning.batch,
        patch_px=tuning.patch_px,
        learning_rate=_LABELLED_RATE if labelled else tuning.learning_rate,
        seed=settings.seed,
        loss="cross_entropy" if labelled else "mse",
    )


def tune_network(place: Workplace, campaign: Campaign, start: NetworkRef) -> str:
    """Fine-tune a network and keep the version.

    Parameters
    ----------
    start
        The selected one, or one close behind (`look_ahead.starting_network`).

    Raises
    ------
    RecipeError
        The images or labels are not fit to train on; nothing was trained.
    Stopping
        The process ends; what was reached is dropped and done again after a restart.
    """
    parent = network_folder(place, start)
    material = material_of(place, campaign)
    every = place.settings.tuning.report_every

    def tell(progress: FitProgress) -> None:
        if progress.step % every == 0 or progress.step == progress.steps:
            text = f"step {progress.step} of {progress.steps}, loss {progress.loss:.4g}"
            event = Event(place.clock(), Stage.FINE_TUNING, text)
            place.campaigns.note(campaign.id, f"{Stage.FINE_TUNING}/{progress.step}", event)

    weights = fine_tune(
        parent,
        material,
        fit_config(place.settings, instrument_of(place, campaign).task),
        threads=place.settings.threads,
        progress=tell,
        stop=place.stopping.is_set,
    )
    place.check()
    card = keep(parent, weights, material, campaign.id, place.settings.networks)
    place.campaigns.find_out(campaign.id, Finding.TUNED, {"method": card.ref.model_dump(mode="json")})
    return f"{card.id} {card.version}, weights {card.weights_sha256}"
