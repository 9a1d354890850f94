"""What a campaign waits for, and what the monitoring of returned images leaves unscored."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from coordinator import monitoring, publishing, stages
from coordinator.campaign import Campaigning
from coordinator.findings import latest_campaign
from coordinator.readiness import ask_for_labels, readiness_of
from coordinator.records import Stage
from coordinator.store.annotations import StoredAnnotation
from coordinator.store.values import Instrument, Opening, ReleasePurpose, StoredImage, Trigger
from coordinator.workplace import Workplace
from model_library.cards.card import tuned_field
from model_library.wire.images import ImagePurpose
from model_library.wire.methods import NetworkRef
from model_library.wire.tasks import Segment
from model_library.zoo.registry import Library

from .places import NOW, enrolled, measured, received, workplace


@pytest.fixture
def place(tmp_path: Path, library: Path) -> Iterator[Workplace]:
    with workplace(tmp_path / "data", library=library, first_images=4, labelled_images=3) as place:
        yield place


def first(place: Workplace, instrument: Instrument, *sequences: int) -> list[StoredImage]:
    return [received(place, instrument.id, each, ImagePurpose.FIRST) for each in sequences]


def label(place: Workplace, image: StoredImage) -> None:
    drawing = StoredAnnotation(image.instrument_id, image.sha256, "<annotations/>", 1, "labels.xml", NOW)
    place.annotations.keep([drawing])


def ready(place: Workplace, instrument: Instrument) -> bool:
    return readiness_of(place, latest_campaign(place, instrument.id)).is_ready


def test_a_campaign_waits_for_its_first_images(place: Workplace):
    instrument = enrolled(place)
    place.campaigns.open(Opening(instrument.id), Stage.WAITING, NOW)
    first(place, instrument, 1, 2, 4)
    assert not ready(place, instrument)
    first(place, instrument, 5)
    assert ready(place, instrument)


def test_an_improvement_waits_for_images_acquired_since_the_change(place: Workplace):
    instrument = enrolled(place)
    measured(place, instrument, images=4)
    place.campaigns.open(Opening(instrument.id, 2, Trigger.DRIFT, 20), Stage.WAITING, NOW)
    first(place, instrument, 20, 21, 22)
    assert not ready(place, instrument)
    first(place, instrument, 23)
    assert ready(place, instrument)
    stages.gather(place, latest_campaign(place, instrument.id))
    gathered = latest_campaign(place, instrument.id).findings["images"]
    assert [place.images.get(each).sequence for each in gathered] == [20, 21, 22, 23]  # type: ignore[union-attr]


def test_a_segmenting_campaign_waits_for_labels_too(place: Workplace):
    instrument = enrolled(place, task=Segment(classes=("background", "membrane")))
    place.campaigns.open(Opening(instrument.id), Stage.WAITING, NOW)
    images = first(place, instrument, 1, 2, 3, 4)
    for image in images[:3]:
        assert not ready(place, instrument)
        label(place, image)
    assert ready(place, instrument)


@pytest.mark.parametrize("trigger", Trigger)
def test_while_only_labels_are_missing_the_history_says_how_many_and_how_to_import_them(
    place: Workplace, trigger: Trigger
):
    instrument = enrolled(place, task=Segment(classes=("background", "membrane")))
    number, start = (1, 1) if trigger is Trigger.ENROLMENT else (2, 20)
    if number == 2:
        measured(place, instrument, images=4)
    place.campaigns.open(Opening(instrument.id, number, trigger, start), Stage.WAITING, NOW)
    campaigning = Campaigning.__new__(Campaigning)
    campaigning._place = place
    images = []
    for sequence in range(start, start + 4):
        assert latest_campaign(place, instrument.id).stage == Stage.WAITING
        images += first(place, instrument, sequence)
        campaigning.arrived(images[-1])
    label(place, images[0])
    for _ in range(2):
        campaigning.labels_arrived(instrument.id)
    waiting = latest_campaign(place, instrument.id)
    assert waiting.stage == "waiting for labels"
    assert [event.text.partition(" images")[0] for event in waiting.events] == [
        "0 of at least 3",
        "1 of at least 3",
    ]
    assert {event.stage for event in waiting.events} == {"waiting for labels"}
    command = "synoptic coordinator annotations import FILE"
    for event in waiting.events:
        assert f"{command} --data {place.settings.data} --instrument {instrument.id}" in event.text
        assert "synoptic coordinator annotations export --predict" in event.text


def test_a_campaign_that_has_begun_is_not_sent_back_to_wait_for_labels(place: Workplace):
    instrument = enrolled(place, task=Segment(classes=("background", "membrane")))
    place.campaigns.open(Opening(instrument.id), Stage.WAITING, NOW)
    first(place, instrument, 1, 2, 3, 4)
    seen = latest_campaign(place, instrument.id)
    place.campaigns.enter(seen.id, Stage.GATHERING)  # by another request, meanwhile
    ask_for_labels(place, seen, readiness_of(place, seen))
    assert latest_campaign(place, instrument.id).stage == Stage.GATHERING


def test_a_federated_release_is_not_scored_on_fields_that_any_ancestor_was_tuned_on(
    place: Workplace, library: Path
):
    instrument = enrolled(place)
    measured(place, instrument, images=4)
    card = Library(library).card("tiny-4")
    ref = NetworkRef(id=card.id, version=card.version, weights_sha256=card.weights_sha256)
    release = publishing.release_assigned(
        place, instrument, ref, ["better"], "federation-0001", ReleasePurpose.FEDERATED
    )
    tuned = [tuned_field(who, "stage:A1") for who in (instrument.id, "other")]
    lineage = {
        "parent_id": "p",
        "parent_version": "1",
        "parent_weights_sha256": "0" * 64,
        "campaign": "federation-0001",
        "tuned_fields": tuned,
    }
    told = release.manifest.model_dump(mode="json")
    told["card"]["lineage"] = lineage
    manifest = type(release.manifest).model_validate(told)
    seen = [
        received(place, instrument.id, n, field=field) for n, field in ((9, "stage:A1"), (10, "stage:A2"))
    ]
    scores = [
        monitoring._assess(
            place, image, replace(release, manifest=manifest), latest_campaign(place, instrument.id)
        )
        for image in seen
    ]
    assert "was tuned on by the method in service" in (scores[0].reason or "")
    assert "tuned on" not in (scores[1].reason or "")
