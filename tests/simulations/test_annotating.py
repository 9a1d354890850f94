import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_library.annotations.cvat import read_cvat
from model_library.annotations.maps import class_map
from model_library.errors import ProcessFailed
from model_library.images.frame import Frame
from model_library.images.writers import encode_acquisition
from model_library.wire.tasks import Segment
from simulations.annotating import is_handed_in, label_and_import
from simulations.overview import ImageSeen
from simulations.workspace import Workspace


class Recording:
    """A supervisor that only notes what it should run."""

    def __init__(self, *, fails: bool = False) -> None:
        self.ran: list[tuple[str, ...]] = []
        self._fails = fails

    def run(self, name: str, arguments: list[str], timeout_s: float = 60.0) -> None:
        self.ran.append((name, *arguments))
        if self._fails:
            raise ProcessFailed("the coordinator refused")


class Tissue:
    """As much of a look at a site as the annotator needs."""

    name = "tissue"
    task = Segment(classes=("background", "membrane"))
    images = tuple(
        ImageSeen(
            sequence=number,
            purpose=purpose,
            field=f"stage:{number}",
            split="tuning",
            sha256="0" * 64,
            file_name=f"tissue_{number:05d}.tif",
        )
        for number, purpose in ((1, "first_images"), (2, "first_images"), (5, "benchmark_images"))
    )


@pytest.fixture
def masks(tmp_path: Path) -> list[Any]:
    rng = np.random.default_rng(0)
    found = [(rng.uniform(0, 1, (40, 50)) > 0.9).astype(np.uint8) for _ in range(3)]
    folder = Workspace(tmp_path).truth("tissue")
    folder.mkdir(parents=True)
    for number, mask in zip((1, 2, 5), found, strict=True):
        (folder / f"tissue_{number:05d}.tif").write_bytes(encode_acquisition(Frame(mask)))
    return found


def test_exactly_the_first_images_are_labelled_with_their_true_masks(
    tmp_path: Path, masks: list[Any]
) -> None:
    workspace, supervisor = Workspace(tmp_path), Recording()
    site: Any = Tissue()

    label_and_import(site, workspace, supervisor)  # type: ignore[arg-type]

    drawn = read_cvat(workspace.labels("tissue").read_bytes(), "tissue.xml")
    assert [image.name for image in drawn] == ["tissue_00001.tif", "tissue_00002.tif"]
    for image, mask in zip(drawn, masks, strict=False):
        np.testing.assert_array_equal(class_map(image, Tissue.task.classes), mask)
    (ran,) = supervisor.ran
    assert ran[0] == "annotations-tissue"
    told = ("--data", str(workspace.coordinator), "--instrument", "tissue", "--complete")
    assert ran[-9:] == ("coordinator", "annotations", "import", str(workspace.labels("tissue")), *told)
    assert is_handed_in(workspace, "tissue")


def test_refused_labels_are_not_handed_in(tmp_path: Path, masks: list[Any]) -> None:
    workspace = Workspace(tmp_path)
    site: Any = Tissue()

    with pytest.raises(ProcessFailed):
        label_and_import(site, workspace, Recording(fails=True))  # type: ignore[arg-type]

    assert not is_handed_in(workspace, "tissue")


def test_command_exists(tmp_path: Path) -> None:
    words = ("coordinator", "annotations", "import", "--complete", "--help")
    command = [sys.executable, "-c", "from model_library.cli import main; main()", *words]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)

    assert told.returncode == 0, told.stderr
