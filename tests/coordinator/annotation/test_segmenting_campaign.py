"""From labels to a release: every stage of a campaign of an instrument that segments."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from benchmark.look import Look
from coordinator.annotation.cvat import PREDICTED
from coordinator.annotation.labels import ImportOptions, count, import_labels
from coordinator.annotation.matching import exported_name
from coordinator.annotation.preferring import export_predicted
from coordinator.annotation_cli import app
from coordinator.campaign import PLAN
from coordinator.errors import CannotAssess
from coordinator.founding import found
from coordinator.records import Finding, Stage
from coordinator.services import open_place
from coordinator.settings import TuningSettings, read_settings
from coordinator.store.database import Database
from coordinator.store.values import Opening, Upload, UploadState
from model_library.annotations.cvat import read_cvat
from model_library.annotations.cvat_writing import write_cvat
from model_library.annotations.maps import class_map
from model_library.annotations.runs import pixel_mask
from model_library.annotations.shapes import AnnotatedImage, Annotation
from model_library.cards.card import NetworkCard
from model_library.images.frame import Frame
from model_library.images.writers import encode_acquisition
from model_library.networks.build import build
from model_library.networks.config import UNetConfig
from model_library.networks.facts import facts
from model_library.signing.digests import sha256_bytes
from model_library.wire.identity import EnrolRequest
from model_library.wire.images import ImageDeclaration, ImagePurpose
from model_library.wire.tasks import Segment
from model_library.zoo.store import save_network

NOW = 1_800_000_000.0
TASK = Segment(classes=("background", "void"))
IMAGES = 14


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """Two small untrained networks."""
    for number, widths in enumerate(((4, 8), (6, 12))):
        config = UNetConfig(widths=widths, out_channels=2, residual=False)
        torch.manual_seed(number)
        card = NetworkCard(
            id=f"tiny-{number}",
            version="1",
            purpose="Tests.",
            task=TASK,
            config=config,
            facts=facts(config),
            weights_sha256="0" * 64,
        )
        save_network(tmp_path / "library" / card.id, build(config), card)
    return tmp_path / "library"


@pytest.fixture
def place(tmp_path: Path, library: Path):
    found(tmp_path / "data", ["127.0.0.1"], 0, NOW)
    tuning = TuningSettings(steps=4, batch=2, patch_px=32)
    settings = read_settings(tmp_path / "data").model_copy(update={"library": library, "tuning": tuning})
    settings.uploads.mkdir(exist_ok=True)
    database = Database(settings.database)
    database.create_tables()
    yield open_place(settings, database, lambda: NOW)
    database.close()


def specimen(seed: int, side: int = 72) -> tuple[np.ndarray, np.ndarray]:
    """Bright squares under shot noise, as uint16 counts, and where they are."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((side, side), dtype=bool)
    for top, left in rng.integers(0, side - 14, (4, 2)):
        mask[top : top + 14, left : left + 14] = True
    return rng.poisson(60 + 60 * mask).astype(np.uint16), mask


def send(place, instrument, sequence: int, content: bytes) -> None:
    told = ImageDeclaration(
        purpose=ImagePurpose.FIRST,
        sequence=sequence,
        file_name=f"frame-{sequence}.tif",
        bytes=len(content),
        sha256=sha256_bytes(content),
    )
    path = place.settings.uploads / f"u{sequence}"
    path.write_bytes(content)
    place.objects.adopt(path, told.sha256)
    upload = Upload(f"u{sequence}", instrument.id, told, len(content), NOW, UploadState.OPEN, None)
    place.images.accept(upload, f"stage:{sequence}", 4.0, NOW)


def enrol(place, task=TASK):
    secret = place.identities.new_enrol_token(NOW, 60)
    request = EnrolRequest(token="x", site_name="tissue", task=task, public_key_pem="key")
    return place.identities.enrol(request, secret, NOW)


def test_labels_carry_an_instrument_from_its_first_images_to_a_release(place, tmp_path):
    instrument = enrol(place)
    drawn = []
    for sequence in range(1, IMAGES + 1):
        pixels, mask = specimen(sequence)
        send(place, instrument, sequence, encode_acquisition(Frame(pixels, pixel_size_nm=4.0)))
        painted = Annotation("void", pixel_mask(mask))
        drawn.append(AnnotatedImage(f"frame-{sequence}.tif", *mask.shape[::-1], (painted,)))
    file = tmp_path / "labels.xml"
    file.write_bytes(write_cvat(drawn, ["void"]))
    import_labels(place, instrument, file, NOW, ImportOptions())
    campaign_id = place.campaigns.open(Opening(instrument.id), Stage.WAITING, NOW)

    for stage, work in PLAN.items():
        place.campaigns.enter(campaign_id, stage)
        work(place, place.campaigns.get(campaign_id))

    findings = place.campaigns.get(campaign_id).findings
    rivals = [each["method"]["id"] for each in findings[Finding.CLASSICAL]["ranking"]]
    assert sorted(rivals) == ["local-threshold", "otsu", "watershed", "watershed-lines"]
    assert findings[Finding.CLASSICAL]["metric"] == "dice"
    # Bright squares: a threshold is right, four steps of training are not.
    assert findings[Finding.FINAL_GATE]["assigned"]["kind"] == "classical"
    assert findings[Finding.FINAL_GATE]["means"][rivals[0]] > 0.8
    tuned = place.settings.networks / findings[Finding.TUNED]["method"]["weights_sha256"]
    card = NetworkCard.model_validate_json((tuned / "card.json").read_bytes())
    assert card.training_data[-1].source == "labelled images of tissue"
    assert len(card.lineage.tuned_fields) == 6
    assert card.pixel_size_nm == (4.0, 4.0)
    assert findings[Finding.PIXELS]["sizes_nm"] == [4.0]


@pytest.fixture
def unlabelled(place):
    """An instrument that sent four images and has no labels."""
    instrument = enrol(place)
    for sequence in range(1, 5):
        send(place, instrument, sequence, encode_acquisition(Frame(specimen(sequence)[0], pixel_size_nm=4.0)))
    return instrument


def test_what_the_preferred_network_finds_is_exported_to_be_corrected(place, unlabelled, tmp_path):
    out = tmp_path / "task.zip"
    exported, preferred = export_predicted(place, unlabelled, out, 3)
    assert exported == 3
    assert preferred.plausibility.keys() == {"tiny-0@1", "tiny-1@1"}
    assert f"{preferred.method.ref.id}@1" == max(preferred.plausibility, key=preferred.plausibility.get)
    with zipfile.ZipFile(out) as bundle:
        drawn = read_cvat(bundle.read(PREDICTED), PREDICTED)
    images = place.images.of(unlabelled.id)[:3]
    assert [each.name for each in drawn] == [exported_name(image) for image in images]
    for sequence, each in enumerate(drawn, 1):
        found = preferred.method(specimen(sequence)[0].astype(np.float32))
        np.testing.assert_array_equal(class_map(each, TASK.classes), found)
        assert not each.searched


def test_the_stated_look_is_what_networks_are_preferred_by(place, unlabelled, tmp_path):
    _, bright = export_predicted(place, unlabelled, tmp_path / "bright.zip", look=Look.BRIGHT)
    _, dark = export_predicted(place, unlabelled, tmp_path / "dark.zip", look=Look.DARK)
    assert bright.plausibility != dark.plausibility
    assert all(min(bright.plausibility[key], dark.plausibility[key]) == 0 for key in dark.plausibility)


def test_a_guess_does_not_pass_for_labels(place, unlabelled, tmp_path):
    out = tmp_path / "task.zip"
    export_predicted(place, unlabelled, out)
    assert import_labels(place, unlabelled, out, NOW, ImportOptions()).images == 0
    assert count(place, unlabelled.id) == 0


def test_without_a_network_for_the_classes_nothing_is_guessed(place, tmp_path):
    instrument = enrol(place, Segment(classes=("background", "pore")))
    send(place, instrument, 1, encode_acquisition(Frame(specimen(1)[0], pixel_size_nm=4.0)))
    with pytest.raises(CannotAssess, match=r"pore.* found none; export without --predict"):
        export_predicted(place, instrument, tmp_path / "task.zip")
    assert not (tmp_path / "task.zip").exists()


def test_the_command_line_tells_which_network_is_preferred_and_why(place, unlabelled, tmp_path):
    settings = place.settings.data / "settings.toml"
    settings.write_text(f'library = "{place.settings.library}"\n{settings.read_text()}')
    where = [
        "--data",
        str(place.settings.data),
        "--instrument",
        "tissue",
        "--out",
        str(tmp_path / "task.zip"),
    ]
    told = json.loads(CliRunner().invoke(app, ["export", *where, "--predict", "--json"]).stdout)
    assert told["images"] == 4
    assert told["network"] in {"tiny-0", "tiny-1"}
    shown = CliRunner().invoke(app, ["export", *where, "--predict"]).stdout
    assert f"What {told['network']} finds is in it as predictions.xml" in shown
    stated = [*where, "--structure", "bright"]
    told = json.loads(CliRunner().invoke(app, ["export", *stated, "--predict", "--json"]).stdout)
    assert told["structure"] == "bright"
    assert "as something bright" in CliRunner().invoke(app, ["export", *stated, "--predict"]).stdout
    assert "add --predict" in " ".join(CliRunner().invoke(app, ["export", *stated]).output.split())
