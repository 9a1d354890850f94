"""The stages of a campaign up to its first verdict; each keeps a finding and returns what to note.

Repeating a stage gives the same finding: all chance comes from the seed, all input from the store.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchmark.method import Method
from benchmark.splits import Split
from coordinator.cases import cases_of, selection_cases
from coordinator.findings import gathered, images_of, instrument_of, noise_of
from coordinator.pixel_sizes import record_fits
from coordinator.records import Finding
from coordinator.store.values import Campaign, Instrument, StoredImage
from coordinator.stored_frames import pixels_of
from coordinator.workplace import Workplace
from model_library.cards.acquisition import AcquisitionRange
from model_library.cards.card import NetworkCard, tuned_field
from model_library.errors import ImageError
from model_library.wire.images import ImagePurpose
from model_library.wire.methods import ClassicalRef, NetworkRef
from model_library.wire.orders import Heartbeat
from model_library.wire.tasks import Segment, SuperResolve, Task

if TYPE_CHECKING:
    from benchmark.selection import Assess, Pace
    from benchmark.selection.narrowing import InstrumentFacts

_TUNED_ON = 5
"""Images to tune classical algorithms on: enough for up to three parameters; all images rank them."""


def gather(place: Workplace, campaign: Campaign) -> str:
    """Fix which images the campaign works with."""
    images = first_images(place, campaign)
    place.campaigns.find_out(campaign.id, Finding.IMAGES, [image.id for image in images])
    counts = ", ".join(f"{sum(each.split is split for each in images)} {split}" for split in Split)
    return f"{len(images)} images: {counts}; {record_fits(place, campaign, images)}"


def measure_noise(place: Workplace, campaign: Campaign) -> str:
    """Fit the noise model to the tuning images, and observe all, which drift will be told from."""
    from benchmark.observation import observe
    from model_library.degradation.noise import estimate_noise

    pixels = [image for _, image in pixels_of(place.objects, images_of(place, campaign, Split.TUNING))]
    noise = estimate_noise(pixels)
    unseen = 0
    for image in gathered(place, campaign):
        place.check()
        [(_, seen)] = pixels_of(place.objects, [image])
        try:
            place.observations.keep(image, observe(seen))
        except ImageError:
            # One blown-out image says nothing of its noise; the others do.
            unseen += 1
    finding = {"gain": noise.gain, "read_variance": noise.read_variance, "images": len(pixels)}
    place.campaigns.find_out(campaign.id, Finding.NOISE, finding)
    told = f"gain {noise.gain:.4g} counts/electron, read variance {noise.read_variance:.4g} counts^2"
    return told + (f"; {unseen} images show no noise that can be measured" if unseen else "")


def tune_classical(place: Workplace, campaign: Campaign) -> str:
    """Choose the parameters of every classical algorithm on the tuning images."""
    from benchmark.baselines import classical_methods, tune
    from benchmark.evaluate import evaluate
    from benchmark.scores import method_key

    task = instrument_of(place, campaign).task
    cases = cases_of(place, campaign, Split.TUNING)
    tuned: list[Method] = []
    for family in classical_methods(task):
        place.check()
        tuned.append(tune(family, cases[:_TUNED_ON], scale=task.scale))
    scores = evaluate(tuned, cases)
    found = [(method.ref, scores.mean(method_key(method.ref))) for method in tuned]
    ranking = sorted(((ref, mean) for ref, mean in found if mean is not None), key=lambda each: -each[1])
    told = [{"method": ref.model_dump(mode="json"), "score": mean} for ref, mean in ranking]
    finding = {"metric": scores.metric, "ranking": told, "best": told[0]["method"]}
    place.campaigns.find_out(campaign.id, Finding.CLASSICAL, finding)
    best, mean = ranking[0]
    figure = f"{mean:.{scores.metric.decimals}f} {scores.metric.unit}".strip()
    return f"{len(ranking)} algorithms; best {best.id} at {figure}"


def select_network(place: Workplace, campaign: Campaign) -> str:
    """Race the networks of the library, returned ones among them, and choose one that keeps up.

    The finding is the whole record. What a site's heartbeat told of its compute and its acquisition is part
    of it, as it was when the stage ran.

    Raises
    ------
    CannotAssess
        The library holds no network for the task that fits the instrument and was not tuned on these very
        images.
    """
    from benchmark.selection import select
    from coordinator.contenders import contenders_for

    instrument = instrument_of(place, campaign)
    task = instrument.task
    facts = _facts(place, campaign, instrument)
    contenders = contenders_for(place, task, facts, "add one to the library, or pre-train one")
    selection = select(
        contenders.ranked,
        selection_cases(place, campaign),
        seed=place.settings.seed,
        assess=_assess(place, campaign, task),
        pace=_pace(instrument.heartbeat, contenders.cards),
    )
    told = selection.model_copy(update={"excluded": {**contenders.left_out, **selection.excluded}})
    place.campaigns.find_out(campaign.id, Finding.SELECTION, told.model_dump(mode="json"))
    return selection.reason


def _assess(place: Workplace, campaign: Campaign, task: Task) -> "Assess | None":
    """Race denoising networks by what the images tell of themselves; segment steadily; race the others."""
    if isinstance(task, SuperResolve):
        return None
    from benchmark.selection.label_free import race_on_itself, race_on_labels

    if isinstance(task, Segment):
        return race_on_labels(seed=place.settings.seed)
    return race_on_itself(noise_of(campaign), seed=place.settings.seed)


def _facts(place: Workplace, campaign: Campaign, instrument: Instrument) -> "InstrumentFacts":
    from benchmark.selection.narrowing import InstrumentFacts

    images = images_of(place, campaign, Split.TUNING)
    told = [image.pixel_size_nm for image in images if image.pixel_size_nm is not None]
    return InstrumentFacts(
        pixel_size_nm=told[0] if told else instrument.pixel_size_nm,
        digests=frozenset(image.sha256 for image in images),
        fields=frozenset(tuned_field(campaign.instrument_id, image.field) for image in images),
        acquisition=AcquisitionRange.of(image.acquisition for image in images),
    )


def _pace(heartbeat: Heartbeat | None, cards: Sequence[NetworkCard]) -> "Pace":
    """Tell the acquisition's rate, and what the site's calibration predicts of each network.

    Of the network in service the site knows better: what it does there.
    """
    from benchmark.scores import method_key
    from benchmark.selection import Pace

    if heartbeat is None:
        return Pace(measured_on="the site, which has not reported yet")
    compute = heartbeat.compute
    speeds = {
        method_key(card.ref): None
        if compute is None
        else compute.mpix_per_s(card.config.kind, max(card.facts.flops_per_pixel, 1))
        for card in cards
    }
    served = heartbeat.method
    if heartbeat.throughput_mpix_per_s and isinstance(served, NetworkRef):
        found = (card for card in cards if card.weights_sha256 == served.weights_sha256)
        speeds |= {method_key(card.ref): heartbeat.throughput_mpix_per_s for card in found}
    return Pace(
        rate_mpix_per_s=heartbeat.acquisition_mpix_per_s or None,
        mpix_per_s=speeds,
        measured_on="the site, not calibrated" if compute is None else "calibration of the site",
    )


def first_images(place: Workplace, campaign: Campaign) -> tuple[StoredImage, ...]:
    """First images that are there for a campaign, in the order of acquisition."""
    images = place.images.of(campaign.instrument_id, ImagePurpose.FIRST)
    return tuple(image for image in images if image.sequence >= campaign.from_sequence)


def classical_refs(campaign: Campaign) -> tuple[ClassicalRef, ...]:
    """List the tuned classical algorithms, best first."""
    ranking = campaign.findings[Finding.CLASSICAL]["ranking"]
    return tuple(ClassicalRef.model_validate(each["method"]) for each in ranking)


def selected(campaign: Campaign) -> tuple[NetworkRef, NetworkRef | None]:
    """Tell the network selected for the instrument, and the second one if there is one."""
    selection = campaign.findings[Finding.SELECTION]
    refs = {each["key"]: NetworkRef.model_validate(each["ref"]) for each in selection["ranking"]}
    second = selection["second"]
    return refs[selection["winner"]], None if second is None else refs[second]


def tuning_fields(place: Workplace, campaign: Campaign) -> tuple[str, ...]:
    """Fields of view on which a campaign selected and tuned."""
    return tuple(sorted({image.field for image in images_of(place, campaign, Split.TUNING)}))
