"""`synoptic library annotations-lint` prints findings for people and programs, and refuses in words."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from model_library.annotations import AnnotatedImage, Annotation, Box, write_cvat
from model_library.errors import AnnotationError
from model_library.images.raster import encode_png
from model_library.zoo.cli import app

RUN = CliRunner()


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    drawn = (Annotation("void", Box(5, 5, 20, 20)), Annotation("void", Box(30, 30, 31, 31)))
    file = tmp_path / "labels.xml"
    file.write_bytes(write_cvat([AnnotatedImage("a.png", 50, 40, drawn)], ["void", "crack"]))
    return file


def test_findings_are_printed_one_a_line(labels: Path):
    result = RUN.invoke(app, ["annotations-lint", str(labels)])
    assert result.exit_code == 0
    crack, slip, summary = result.stdout.splitlines()
    assert crack.startswith("crack: no shape has this label")
    assert slip.startswith("a.png, void, shape 2: 1 pixels")
    assert summary == "2 findings in 1 images with 2 shapes."


def test_json_names_fault_image_label_shape_and_remedy(labels: Path, tmp_path: Path):
    (tmp_path / "a.png").write_bytes(encode_png(np.zeros((40, 60), dtype=np.uint8)))
    result = RUN.invoke(app, ["annotations-lint", str(labels), "--images", str(tmp_path), "--json"])
    told = json.loads(result.stdout)
    assert (told["images"], told["shapes"], told["labels"]) == (1, 2, ["void", "crack"])
    assert [(each["fault"], each["shape"]) for each in told["findings"]] == [
        ("unused_label", None),
        ("other_size", None),
        ("hardly_any_area", 2),
    ]
    assert all(each["remedy"] for each in told["findings"])


def test_a_file_that_is_not_there_is_refused(tmp_path: Path):
    result = RUN.invoke(app, ["annotations-lint", str(tmp_path / "nothing.xml")])
    assert isinstance(result.exception, AnnotationError)


def test_the_command_explains_itself_with_an_example():
    result = RUN.invoke(app, ["annotations-lint", "--help"])
    assert result.exit_code == 0
    assert "Example: synoptic library annotations-lint" in result.stdout
