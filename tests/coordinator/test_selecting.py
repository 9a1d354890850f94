"""The stage that selects: a record that can be repeated, and a network that keeps up with the instrument."""

import shutil
from pathlib import Path

import pytest

from benchmark.selection.narrowing import InstrumentFacts, narrow
from coordinator.cases import selection_cases
from coordinator.finetune.stage import material_of
from coordinator.finetune.tuning import keep
from coordinator.overview import overview_of
from coordinator.records import Finding, Stage
from coordinator.settings import AssessmentSettings
from coordinator.stages import measure_noise, select_network, selected
from coordinator.store.values import Opening, Upload, UploadState
from coordinator.workplace import Workplace
from model_library.cards.acquisition import AcquisitionRange
from model_library.cards.card import CARD_FILE, WEIGHTS_FILE, NetworkCard
from model_library.signing.digests import sha256_bytes
from model_library.wire.compute import ComputeFacts, FamilyThroughput
from model_library.wire.images import AcquisitionFacts, ImageDeclaration, ImagePurpose
from model_library.wire.orders import FrameCounts, Heartbeat
from model_library.wire.tasks import SuperResolve
from model_library.zoo.store import card_bytes

from .conftest import acquisition
from .places import NOW, enrolled, workplace

IMAGES = 9
COUNTS = FrameCounts(acquired=9, reconstructed=0, waiting=9, set_aside=0, returned=0)


def send(
    place: Workplace, instrument_id: str, sequence: int, acquisition_facts: AcquisitionFacts | None = None
) -> int:
    content = acquisition(sequence, shape=(192, 192))
    told = ImageDeclaration(
        purpose=ImagePurpose.FIRST,
        sequence=sequence,
        file_name=f"{sequence}.tif",
        bytes=len(content),
        sha256=sha256_bytes(content),
        acquisition=acquisition_facts,
    )
    place.settings.uploads.mkdir(exist_ok=True)
    path = place.settings.uploads / f"u{sequence}"
    path.write_bytes(content)
    place.objects.adopt(path, told.sha256)
    upload = Upload(f"u{sequence}", instrument_id, told, len(content), NOW, UploadState.OPEN, None)
    return place.images.accept(upload, f"stage:{sequence}", 4.0, NOW).id


def ready(place: Workplace, task=None, told: AcquisitionFacts | None = None) -> str:
    """A campaign that has gathered images and measured their noise."""
    instrument = enrolled(place, task=task)
    campaign_id = place.campaigns.open(Opening(instrument.id), Stage.WAITING, NOW)
    sent = [send(place, instrument.id, sequence, told) for sequence in range(1, IMAGES + 1)]
    place.campaigns.find_out(campaign_id, Finding.IMAGES, sent)
    measure_noise(place, place.campaigns.get(campaign_id))
    return campaign_id


@pytest.fixture
def place(tmp_path: Path, library: Path):
    assessment = AssessmentSettings(crop_px=64, tile_px=256)
    with workplace(tmp_path / "data", library=library, assessment=assessment) as place:
        yield place


def decided(place: Workplace, campaign_id: str) -> dict:
    """Select, and read the record without the times that it took."""
    select_network(place, place.campaigns.get(campaign_id))
    finding = place.campaigns.get(campaign_id).findings[Finding.SELECTION]
    for one in finding["ranking"]:
        del one["seconds"]
    del finding["scores"]["seconds"]
    return finding


def test_the_decision_is_a_record_that_the_seed_repeats(place: Workplace) -> None:
    campaign_id = ready(place)
    first = decided(place, campaign_id)
    assert decided(place, campaign_id) == first
    assert {one["ref"]["id"] for one in first["ranking"]} == {"tiny-4", "tiny-6", "tiny-8"}
    names = {case.name for case in selection_cases(place, place.campaigns.get(campaign_id))}
    assert set(first["scores"]["names"]) <= names
    assert 0 < first["cost"]["network_crops"] <= first["cost"]["of_network_crops"] == 3 * len(names)
    assert first["seed"] == place.settings.seed


def test_several_crops_of_each_image_are_raced_on(place: Workplace) -> None:
    cases = selection_cases(place, place.campaigns.get(ready(place)))
    fields = [case.field for case in cases]
    assert {fields.count(field) for field in fields} == {4}


def test_a_site_that_reported_its_compute_gets_a_network_that_keeps_up(place: Workplace) -> None:
    campaign_id = ready(place)
    free = decided(place, campaign_id)
    assert free["fit"]["rate_mpix_per_s"] is None
    smallest = min(free["ranking"], key=lambda one: one["flops_per_pixel"])
    instrument_id = place.campaigns.get(campaign_id).instrument_id
    measured = FamilyThroughput(
        family="residual_denoiser", flops_per_pixel=smallest["flops_per_pixel"], mpix_per_s=2.0
    )
    compute = ComputeFacts(threads=2, memory_bytes=1 << 30, engine="torch", families=(measured,))
    beat = Heartbeat(frames=COUNTS, acquisition_mpix_per_s=1.6, compute=compute)
    place.identities.heard(instrument_id, beat, NOW)

    fitted = decided(place, campaign_id)
    assert fitted["winner"] == smallest["key"]
    assert fitted["fit"]["keeps_up"] == {
        one["key"]: one["key"] == smallest["key"] for one in fitted["ranking"]
    }
    assert selected(place.campaigns.get(campaign_id))[0].id == "tiny-4"
    [told] = overview_of(place)["campaigns"]
    assert told["selection"]["fit"]["rate_mpix_per_s"] == 1.6
    assert [one["keeps_up"] for one in told["selection"]["ranking"]].count(True) == 1


def test_of_the_network_in_service_the_site_knows_best_how_fast_it_is(place: Workplace) -> None:
    campaign_id = ready(place)
    free = decided(place, campaign_id)
    instrument_id = place.campaigns.get(campaign_id).instrument_id
    winner = selected(place.campaigns.get(campaign_id))[0]
    beat = Heartbeat(
        frames=COUNTS, method=winner, throughput_mpix_per_s=0.5, acquisition_mpix_per_s=1.6, wants_faster=True
    )
    place.identities.heard(instrument_id, beat, NOW)
    fit = decided(place, campaign_id)["fit"]
    assert fit["mpix_per_s"][free["winner"]] == 0.5
    assert fit["keeps_up"][free["winner"]] is False


def test_super_resolution_is_judged_at_a_coarser_sampling_than_the_acquisition(place: Workplace) -> None:
    campaign_id = ready(place, SuperResolve(scale=2))
    cases = selection_cases(place, place.campaigns.get(campaign_id))
    assert {case.input.shape for case in cases} == {(32, 32)}
    assert {case.reference.pair.target.shape for case in cases} == {(64, 64)}


@pytest.fixture
def beams(tmp_path: Path, library: Path):
    """The library, with two networks tuned at 5 and at 200 kV, and one of which nothing is known."""
    folder = tmp_path / "beams"
    shutil.copytree(library, folder)
    for name, kv in (("tiny-4", 5.0), ("tiny-6", 200.0)):
        path = folder / name / CARD_FILE
        card = NetworkCard.model_validate_json(path.read_bytes())
        told = card.model_copy(update={"acquisition": AcquisitionRange(beam_kv=(kv, kv))})
        path.write_bytes(card_bytes(told))
    assessment = AssessmentSettings(crop_px=64, tile_px=256)
    with workplace(tmp_path / "data", library=folder, assessment=assessment) as place:
        yield place


def test_the_beam_that_files_tell_narrows_the_library_and_the_record_says_why(beams: Workplace) -> None:
    found = decided(beams, ready(beams, told=AcquisitionFacts(beam_kv=8)))
    assert found["excluded"] == {"tiny-6@1": "learned from a beam of 200 kV, and the images have 8 kV"}
    assert {one["ref"]["id"] for one in found["ranking"]} == {"tiny-4", "tiny-8"}


def test_an_unknown_beam_narrows_nothing(beams: Workplace) -> None:
    found = decided(beams, ready(beams))
    assert found["excluded"] == {}
    assert len(found["ranking"]) == 3


def test_an_improved_network_states_how_the_images_were_acquired_that_it_was_tuned_on(
    place: Workplace, library: Path
) -> None:
    told = AcquisitionFacts(beam_kv=8, dwell_us=3, detector="ETD")
    campaign = place.campaigns.get(ready(place, told=told))
    material = material_of(place, campaign)
    parent = library / "tiny-4"
    weights = (parent / WEIGHTS_FILE).read_bytes()
    card = keep(parent, weights, material, campaign.id, place.settings.networks)
    assert card.acquisition == AcquisitionRange(beam_kv=(8, 8), dwell_us=(3, 3), detectors=("ETD",))
    elsewhere = InstrumentFacts(acquisition=AcquisitionRange(beam_kv=(300, 300)))
    untold = card.model_copy(update={"id": "untold", "acquisition": None})
    assert list(narrow([card, untold], elsewhere).left_out) == [f"tiny-4@{card.version}"]
