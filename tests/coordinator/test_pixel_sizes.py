"""The pixels of an instrument and those that networks were made for: in selection, scores and fine-tuning."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.evaluate import evaluate
from benchmark.splits import Split
from coordinator import stages
from coordinator.cases import cases_of
from coordinator.findings import latest_campaign
from coordinator.finetune.stage import material_of, tune_network
from coordinator.finetune.tuning import LabelledMaterial, fine_tune, keep, pixel_range
from coordinator.methods import method_of
from coordinator.records import Finding, Stage
from coordinator.settings import AssessmentSettings, TuningSettings
from coordinator.store.values import Campaign, Opening
from coordinator.workplace import Workplace
from model_library.cards.card import NetworkCard, TrainingData
from model_library.errors import RecipeError
from model_library.images.frame import Frame
from model_library.images.writers import encode_acquisition
from model_library.networks.build import build
from model_library.networks.config import ResidualDenoiserConfig, UNetConfig
from model_library.networks.facts import facts
from model_library.signing.digests import sha256_bytes
from model_library.training.fit import FitConfig
from model_library.training.material import MaterialImage
from model_library.wire.images import ImageDeclaration, ImagePurpose
from model_library.wire.methods import NetworkRef
from model_library.wire.tasks import Denoise, Segment
from model_library.zoo.store import save_network

from .places import NOW, enrolled, workplace

RANGES = {"fits": (3.0, 4.0), "near": (8.0, 9.0), "far": (40.0, 50.0), "silent": None}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small untrained denoisers for pixels of several sizes."""
    folder = tmp_path_factory.mktemp("library")
    config = ResidualDenoiserConfig(depth=3, width=4)
    for number, (name, wanted) in enumerate(RANGES.items()):
        torch.manual_seed(number)
        card = NetworkCard(
            id=name,
            version="1",
            purpose="Tests.",
            task=Denoise(),
            config=config,
            facts=facts(config),
            weights_sha256="0" * 64,
            pixel_size_nm=wanted,
        )
        save_network(folder / name, build(config), card)
    return folder


@pytest.fixture
def place(tmp_path: Path, library: Path) -> Iterator[Workplace]:
    small = {
        "assessment": AssessmentSettings(crop_px=64),
        "tuning": TuningSettings(steps=2, batch=2, patch_px=32),
    }
    with workplace(tmp_path / "data", library=library, **small) as made:
        made.settings.uploads.mkdir(exist_ok=True)
        yield made


def acquire(place: Workplace, instrument_id: str, sequence: int, pixel_size_nm: float) -> None:
    """Take in one image as the intake does."""
    rng = np.random.default_rng(sequence)
    rows, columns = np.mgrid[:72, :72]
    clean = 200 + 80 * np.sin(rows / rng.uniform(3, 9)) * np.cos(columns / rng.uniform(3, 9))
    pixels = rng.poisson(clean).astype(np.uint16)
    content = encode_acquisition(Frame(pixels, pixel_size_nm))
    told = ImageDeclaration(
        purpose=ImagePurpose.FIRST,
        sequence=sequence,
        file_name=f"scan-{sequence}.tif",
        bytes=len(content),
        sha256=sha256_bytes(content),
    )
    part = place.settings.uploads / f"{sequence}"
    part.write_bytes(content)
    place.objects.adopt(part, told.sha256)
    upload = place.uploads.declare(instrument_id, told, NOW + 60)
    place.images.accept(upload, f"stage:{sequence}", pixel_size_nm, NOW)


def gathered(place: Workplace, sizes: list[float]) -> Campaign:
    """A campaign that has measured the noise of images of these pixel sizes."""
    instrument = enrolled(place)
    for sequence, size in enumerate(sizes, start=1):
        acquire(place, instrument.id, sequence, size)
    place.campaigns.open(Opening(instrument.id), Stage.WAITING, NOW)
    stages.gather(place, latest_campaign(place, instrument.id))
    stages.measure_noise(place, latest_campaign(place, instrument.id))
    return latest_campaign(place, instrument.id)


def test_a_campaign_records_what_becomes_of_its_pixels_with_each_network(place: Workplace) -> None:
    campaign = gathered(place, [4.0] * 8)
    found = campaign.findings[Finding.PIXELS]
    assert found["sizes_nm"] == [4.0]
    actions = {name: fit["action"] for name, fit in found["networks"].items()}
    assert actions == {"fits@1": "as_is", "near@1": "resample", "far@1": "refuse", "silent@1": "as_is"}
    assert found["networks"]["near@1"]["factor"] == 0.5
    told = stages.gather(place, campaign)
    assert told.endswith("pixels of 4 nm: 2 networks as they are, 1 networks resampled, 1 networks refused")


def test_a_network_for_other_pixels_is_judged_as_it_serves_or_not_at_all(
    place: Workplace, library: Path
) -> None:
    campaign = gathered(place, [4.0] * 8)
    stages.select_network(place, campaign)
    selection = latest_campaign(place, campaign.instrument_id).findings[Finding.SELECTION]
    assert "pixels of 4 nm, network made for 40 to 50 nm" in selection["excluded"]["far@1"]
    assert {each["key"] for each in selection["ranking"]} == {"fits@1", "near@1", "silent@1"}
    cases = cases_of(place, campaign, Split.TUNING)
    assert {case.pixel_size_nm for case in cases} == {4.0}
    near = NetworkCard.model_validate_json((library / "near" / "card.json").read_bytes())
    ref = NetworkRef(id=near.id, version=near.version, weights_sha256=near.weights_sha256)
    served = method_of(place, ref, Denoise())
    [values] = evaluate([served], cases).values.values()
    [plain] = evaluate([served.method], cases).values.values()
    assert values != plain


def test_a_tuned_network_is_one_for_the_pixels_that_it_was_tuned_on(place: Workplace) -> None:
    campaign = gathered(place, [4.0, 4.0, 4.2, 4.0, 4.1, 4.0, 4.0, 4.0])
    near = place.library / "near"
    material = material_of(place, campaign)
    config = FitConfig(steps=1, batch=1, patch_px=32)
    weights = fine_tune(near, material, config, threads=1)
    card = keep(near, weights, material, campaign.id, place.settings.networks)
    assert card.pixel_size_nm == pixel_range(material.images)
    assert card.pixel_size_nm[0] == 4.0
    assert pixel_range([MaterialImage("a", np.zeros((4, 4)))]) is None


def test_mixed_pixel_sizes_fail_the_fine_tuning_with_the_files_and_the_remedy(place: Workplace) -> None:
    campaign = gathered(place, [4.0, 8.0] * 4)
    stages.select_network(place, campaign)
    expected = r"scan-\d\.tif: expected one pixel size .* found 8 nm, and 4 nm in scan-"
    selected = latest_campaign(place, campaign.instrument_id)
    with pytest.raises(RecipeError, match=expected):
        tune_network(place, selected, stages.selected(selected)[0])
    assert Finding.TUNED not in latest_campaign(place, campaign.instrument_id).findings


def labelled(name: str, classes: np.ndarray, side: int = 64) -> MaterialImage:
    pixels = np.random.default_rng(0).poisson(99, (side, side)).astype(np.float32)
    return MaterialImage(name, pixels, 4.0, classes)


VOIDS, NOTHING = np.eye(64, dtype=np.uint8), np.zeros((64, 64), np.uint8)
A = labelled("a.tif", VOIDS)


@pytest.mark.parametrize(
    ("images", "refusal"),
    [
        ([A], r"expected at least 2 images .* found 1 \(a\.tif\); add images"),
        ([labelled("a.tif", NOTHING)] * 2, "expected pixels of the class void, found none in 2 images"),
        ([A, labelled("b.tif", 3 * VOIDS)], r"b\.tif: expected class indices below 2"),
        ([A, labelled("b.tif", VOIDS[:16, :16], 16)], r"b\.tif: expected sides of at least 32"),
        ([A, labelled("b.tif", VOIDS[:60])], r"b\.tif: expected labels of 64 x 64 pixels"),
    ],
)
def test_labels_that_cannot_teach_are_refused_before_any_training(tmp_path: Path, images, refusal) -> None:
    config = UNetConfig(widths=(4, 8), out_channels=2, residual=False)
    card = NetworkCard(
        id="tiny",
        version="1",
        purpose="Tests.",
        task=Segment(classes=("background", "void")),
        config=config,
        facts=facts(config),
        weights_sha256="0" * 64,
    )
    save_network(tmp_path / "tiny", build(config), card)
    data = TrainingData(source="labels", terms="of the site", images=len(images), simulated=True)
    steps: list[object] = []
    with pytest.raises(RecipeError, match=refusal):
        fine_tune(
            tmp_path / "tiny",
            LabelledMaterial(images, data, ()),
            FitConfig(steps=1, batch=1, patch_px=32, loss="cross_entropy"),
            threads=1,
            progress=steps.append,
        )
    assert not steps
