"""Labels in and out: all of a file or nothing, matched by name or digest, beside a running server."""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmark.splits import Split
from coordinator.annotation.archive import open_archive
from coordinator.annotation.cases import labelled_cases, labelled_pixels
from coordinator.annotation.cvat import export_task
from coordinator.annotation.labels import (
    ImportOptions,
    count,
    drawing_of,
    find_instrument,
    import_labels,
)
from coordinator.annotation.matching import exported_name
from coordinator.annotation_cli import app
from coordinator.errors import CannotAssess, Unknown
from coordinator.finetune.labelled import labelled_material
from coordinator.finetune.stage import fit_config
from coordinator.founding import found
from coordinator.settings import read_settings
from model_library.annotations.cvat import read_cvat
from model_library.annotations.cvat_writing import write_cvat
from model_library.annotations.shapes import AnnotatedImage, Annotation, Box
from model_library.errors import AnnotationError
from model_library.images.frame import Frame
from model_library.images.readers import read_micrograph
from model_library.images.writers import encode_acquisition
from model_library.signing.digests import sha256_bytes
from model_library.wire.identity import EnrolRequest
from model_library.wire.images import ImageDeclaration, ImagePurpose
from model_library.wire.tasks import UNKNOWN_CLASS, Denoise, Segment

NOW = 1_800_000_000.0
CLASSES = ("background", "void")
PLAIN = ImportOptions()


@pytest.fixture
def archive(tmp_path: Path):
    found(tmp_path / "data", ["127.0.0.1"], 0, NOW)
    settings = read_settings(tmp_path / "data")
    settings.uploads.mkdir(exist_ok=True)
    with open_archive(settings) as opened:
        yield opened


@pytest.fixture
def tissue(archive):
    return enrol(archive, "tissue", Segment(classes=CLASSES))


def enrol(archive, site, task):
    secret = archive.identities.new_enrol_token(NOW, 60)
    request = EnrolRequest(token="x", site_name=site, task=task, public_key_pem="key")
    return archive.identities.enrol(request, secret, NOW)


def send(archive, tmp_path, instrument, sequence, purpose=ImagePurpose.FIRST, shape=(60, 80)):
    """Store an image as intake does."""
    from coordinator.store.values import Upload, UploadState

    pixels = np.random.default_rng(sequence).poisson(500, shape).astype(np.uint16)
    content = encode_acquisition(Frame(pixels, pixel_size_nm=4.0))
    told = ImageDeclaration(
        purpose=purpose,
        sequence=sequence,
        file_name=f"frame-{sequence}.tif",
        bytes=len(content),
        sha256=sha256_bytes(content),
    )
    path = tmp_path / f"upload-{sequence}"
    path.write_bytes(content)
    archive.objects.adopt(path, told.sha256)
    upload = Upload(f"u{sequence}{purpose}", instrument.id, told, len(content), NOW, UploadState.OPEN, None)
    return archive.images.accept(upload, f"image:{told.sha256}", 4.0, NOW)


def drawing(*images: AnnotatedImage, labels=("void",)) -> bytes:
    return write_cvat(images, labels)


def voids(name, *boxes, size=(80, 60), label="void"):
    return AnnotatedImage(name, *size, tuple(Annotation(label, Box(*box)) for box in boxes))


def written(tmp_path, content: bytes) -> Path:
    path = tmp_path / "labels.xml"
    path.write_bytes(content)
    return path


def test_labels_become_cases_with_the_mask_that_was_drawn(archive, tissue, tmp_path):
    first, second = (send(archive, tmp_path, tissue, sequence) for sequence in (1, 2))
    file = written(tmp_path, drawing(voids("tasks/frame-1.tif", (5, 10, 25, 20)), voids("frame-2.tif")))
    done = import_labels(archive, tissue, file, NOW, PLAIN)
    assert (done.images, done.shapes, done.left_out) == (1, 1, 1)
    assert count(archive, tissue.id) == 1
    (case,) = labelled_cases(archive, [second, first])
    assert case.field == first.field
    assert case.input.shape == case.reference.mask.shape == (60, 80)
    assert case.reference.mask.sum() == 200
    assert case.reference.mask[10:20, 5:25].all()


def test_an_image_without_shapes_is_background_only_where_that_is_said(archive, tissue, tmp_path):
    image = send(archive, tmp_path, tissue, 1)
    file = written(tmp_path, drawing(voids("frame-1.tif")))
    import_labels(archive, tissue, file, NOW, PLAIN)
    assert labelled_cases(archive, [image]) == ()
    import_labels(archive, tissue, file, NOW, ImportOptions(complete=True))
    (case,) = labelled_cases(archive, [image])
    assert not case.reference.mask.any()


def test_a_class_that_nobody_drew_is_unknown_unless_it_was_looked_for(archive, tmp_path):
    alloy = enrol(archive, "alloy", Segment(classes=(*CLASSES, "crack")))
    image = send(archive, tmp_path, alloy, 1)
    file = written(tmp_path, drawing(voids("frame-1.tif", (0, 0, 9, 9)), labels=("void", "crack")))
    import_labels(archive, alloy, file, NOW, PLAIN)
    ((_, _, classes),) = labelled_pixels(archive, [image])
    assert (classes[:9, :9] == 1).all()
    assert (classes == UNKNOWN_CLASS).sum() == 60 * 80 - 81
    assert labelled_cases(archive, [image]) == ()
    import_labels(archive, alloy, file, NOW, ImportOptions(complete=True))
    ((_, _, classes),) = labelled_pixels(archive, [image])
    assert set(np.unique(classes)) == {0, 1}
    assert len(labelled_cases(archive, [image])) == 1


def test_a_later_import_of_an_image_replaces_the_earlier_one(archive, tissue, tmp_path):
    image = send(archive, tmp_path, tissue, 1)
    for width in (10, 20):
        file = written(tmp_path, drawing(voids("frame-1.tif", (0, 0, width, 10))))
        import_labels(archive, tissue, file, NOW, PLAIN)
    assert drawing_of(archive, image).annotations[0].shape == Box(0, 0, 20, 10)
    assert count(archive, tissue.id) == 1


def test_a_frame_that_came_twice_is_labelled_and_scored_once(archive, tissue, tmp_path):
    images = [send(archive, tmp_path, tissue, 1, purpose) for purpose in ImagePurpose]
    import_labels(archive, tissue, written(tmp_path, drawing(voids("frame-1.tif", (0, 0, 9, 9)))), NOW, PLAIN)
    assert len(labelled_cases(archive, images)) == 1
    assert count(archive, tissue.id) == 1


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        (
            voids("frame-9.tif", (0, 0, 9, 9)),
            "frame-9.tif among those that tissue-.* found none of this name",
        ),
        (voids("frame-2.tif", (0, 0, 9, 9), size=(81, 60)), "expected 80 x 60 pixels .* found 81 x 60"),
        (voids("frame-2.tif", (0, 0, 9, 9), label="crack"), "among background, void, found crack"),
    ],
)
def test_one_wrong_image_refuses_the_whole_file(archive, tissue, tmp_path, wrong, expected):
    for sequence in (1, 2):
        send(archive, tmp_path, tissue, sequence)
    file = written(tmp_path, drawing(voids("frame-1.tif", (0, 0, 9, 9)), wrong))
    with pytest.raises(AnnotationError, match=expected):
        import_labels(archive, tissue, file, NOW, PLAIN)
    assert count(archive, tissue.id) == 0


def test_images_of_another_instrument_cannot_be_labelled(archive, tissue, tmp_path):
    other = enrol(archive, "other", Segment(classes=CLASSES))
    send(archive, tmp_path, other, 1)
    with pytest.raises(AnnotationError, match="none of this name"):
        import_labels(
            archive, tissue, written(tmp_path, drawing(voids("frame-1.tif", (0, 0, 9, 9)))), NOW, PLAIN
        )


def test_an_instrument_that_restores_takes_no_labels(archive, tmp_path):
    bench = enrol(archive, "bench", Denoise())
    with pytest.raises(AnnotationError, match="task is denoise"):
        import_labels(archive, bench, written(tmp_path, drawing()), NOW, PLAIN)


def test_an_exported_task_comes_back_annotated(archive, tissue, tmp_path):
    images = [send(archive, tmp_path, tissue, sequence) for sequence in (1, 2)]
    import_labels(archive, tissue, written(tmp_path, drawing(voids("frame-1.tif", (0, 0, 9, 9)))), NOW, PLAIN)
    out = tmp_path / "task.zip"
    assert export_task(archive, tissue, out) == 1
    with zipfile.ZipFile(out) as bundle:
        assert bundle.namelist() == [f"images/{exported_name(images[1])}", "annotations.xml"]
        (tmp_path / "shown.png").write_bytes(bundle.read(bundle.namelist()[0]))
    shown = read_micrograph(tmp_path / "shown.png").pixels
    assert shown.dtype == np.uint8
    assert shown.shape == (60, 80)
    (listed,) = read_cvat(out.read_bytes(), "task.zip")
    assert (listed.name, listed.width, listed.height) == (exported_name(images[1]), 80, 60)
    returned = io.BytesIO()
    with zipfile.ZipFile(returned, "w") as bundle:
        bundle.writestr("annotations.xml", drawing(voids(f"images/{listed.name}", (3, 3, 6, 6))))
    import_labels(archive, tissue, written(tmp_path, returned.getvalue()), NOW, PLAIN)
    assert count(archive, tissue.id) == 2
    with pytest.raises(AnnotationError, match="without labels, found none"):
        export_task(archive, tissue, out)


def via(name: str, attributes: dict[str, str]) -> bytes:
    shape = {"name": "rect", "x": 5, "y": 10, "width": 20, "height": 10}
    region = {"shape_attributes": shape, "region_attributes": attributes}
    return json.dumps({f"{name}1": {"filename": name, "size": 1, "regions": [region]}}).encode()


def coco(name: str) -> bytes:
    document = {
        "images": [{"id": 3, "file_name": name, "width": 80, "height": 60}],
        "categories": [{"id": 1, "name": "void"}],
        "annotations": [
            {"id": 1, "image_id": 3, "category_id": 1, "segmentation": [[5, 10, 25, 10, 25, 20, 5, 20]]}
        ],
    }
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("content", "options"),
    [
        (drawing(voids("frame-1.tif", (5, 10, 25, 20))), PLAIN),
        (coco("frame-1.tif"), PLAIN),
        (via("frame-1.tif", {"class": "void"}), PLAIN),
        (via("frame-1.tif", {"class": "void", "who": "me"}), ImportOptions(label_attribute="class")),
    ],
    ids=["cvat", "coco", "via", "via with attributes"],
)
def test_the_same_labels_of_every_annotator_become_the_same_case(archive, tissue, tmp_path, content, options):
    image = send(archive, tmp_path, tissue, 1)
    done = import_labels(archive, tissue, written(tmp_path, content), NOW, options)
    assert (done.images, done.shapes, done.left_out) == (1, 1, 0)
    (case,) = labelled_cases(archive, [image])
    assert case.reference.mask.sum() == 200
    assert case.reference.mask[10:20, 5:25].all()


def test_the_size_of_an_image_that_nobody_sent_is_not_asked_for(archive, tissue, tmp_path):
    send(archive, tmp_path, tissue, 1)
    with pytest.raises(AnnotationError, match=r"image frame-9\.tif among those that tissue-.* sent"):
        import_labels(archive, tissue, written(tmp_path, via("frame-9.tif", {"class": "void"})), NOW, PLAIN)


def test_an_instrument_is_found_by_its_id_or_the_name_of_its_site(archive, tissue):
    assert find_instrument(archive.identities, "tissue") == tissue
    assert find_instrument(archive.identities, tissue.id) == tissue
    with pytest.raises(Unknown, match=f"found none; give the id of one of: {tissue.id}"):
        find_instrument(archive.identities, "nobody")
    enrol(archive, "tissue", Denoise())
    with pytest.raises(Unknown, match="found 2 of this site name"):
        find_instrument(archive.identities, "tissue")


def test_material_for_fine_tuning_is_the_labelled_tuning_images(archive, tissue, tmp_path):
    images = [send(archive, tmp_path, tissue, sequence) for sequence in range(1, 8)]
    boxes = [voids(image.file_name, (0, 0, 9, 9)) for image in images[:4]]
    import_labels(archive, tissue, written(tmp_path, drawing(*boxes)), NOW, PLAIN)
    tuning = [image for image in images if image.split is Split.TUNING]
    expected = labelled_pixels(archive, tuning)
    material = labelled_material(archive, tuning, [f"{tissue.id}/{each.field}" for each in tuning], "tissue")
    assert 0 < len(expected) < 4
    assert material.data.digests == tuple(image.sha256 for image, _, _ in expected)
    assert [int(image.classes.sum()) for image in material.images] == [81] * len(expected)
    inputs, targets = material.pairs().batch(4, 32, np.random.default_rng(0))
    assert inputs.shape == targets.shape == (4, 1, 32, 32)
    assert set(targets.unique().tolist()) <= {0.0, 1.0}
    with pytest.raises(CannotAssess, match="labelled images"):
        labelled_material(archive, images[4:], (), "tissue")


def test_training_on_labels_descends_the_cross_entropy(tmp_path):
    found(tmp_path / "data", ["127.0.0.1"], 0, NOW)
    config = fit_config(read_settings(tmp_path / "data"), Segment(classes=("background", "cell")))
    assert config.loss == "cross_entropy"


def test_the_command_line_imports_and_exports(archive, tissue, tmp_path):
    send(archive, tmp_path, tissue, 1)
    file = written(tmp_path, drawing(voids("frame-1.tif", (0, 0, 9, 9))))
    where = ["--data", str(tmp_path / "data"), "--instrument", "tissue", "--json"]
    exported = CliRunner().invoke(app, ["export", *where, "--out", str(tmp_path / "task.zip"), "--most", "5"])
    imported = CliRunner().invoke(app, ["import", str(file), *where])
    assert json.loads(exported.stdout)["images"] == 1
    assert json.loads(imported.stdout) == {
        "instrument": tissue.id,
        "images": 1,
        "shapes": 1,
        "left_out": 0,
        "labelled_first_images": 1,
    }


@pytest.mark.parametrize("command", ["import", "export"])
def test_help_has_an_example(command):
    shown = CliRunner().invoke(app, [command, "--help"])
    assert "Example: synoptic coordinator annotations" in shown.stdout


def test_a_missing_file_is_refused_in_words(archive, tissue, tmp_path):
    done = CliRunner().invoke(
        app, ["import", str(tmp_path / "no.xml"), "--data", str(tmp_path / "data"), "--instrument", "tissue"]
    )
    assert isinstance(done.exception, AnnotationError)
    assert "found no" in str(done.exception)
