"""What a campaign waits for, and what the monitoring of returned images leaves unscored."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from coordinator import monitoring, stages
from coordinator.methods import latest_campaign
from coordinator.records import Stage
from coordinator.releases import publishing
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


def ready(place: Workplace, instrument: Instrument) -> bool:
    return stages.is_ready(place, latest_campaign(place, instrument.id))


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
        label = StoredAnnotation(instrument.id, image.sha256, "<annotations/>", 1, "labels.xml", NOW)
        place.annotations.keep([label])
    assert ready(place, instrument)


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
