"""The command that pre-trains: resumed, reproducible, and clear about what it cannot train on."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from model_library.errors import CheckpointError, RecipeError
from model_library.images.frame import Frame
from model_library.images.writers import encode_acquisition
from model_library.training.progress import FitProgress
from model_library.zoo.cli import app
from model_library.zoo.lesson import lesson_of
from model_library.zoo.live import live
from model_library.zoo.pretraining import Pretraining, run_pretraining
from model_library.zoo.recipe import read_recipe
from model_library.zoo.registry import Library

RUN = CliRunner()


def stretched(path: Path, steps: int, *lines: str) -> Path:
    """A recipe of more steps, with further lines for [fit]."""
    text = path.read_text().replace("steps = 3\n", "\n".join((f"steps = {steps}", *lines, "")))
    path.write_text(text)
    return path


def digest(folder: Path) -> str:
    return Library(folder).verify("tiny").weights_sha256


@pytest.fixture
def train(tmp_path: Path) -> Callable[..., str]:
    def run(recipe: Path, name: str, *options: str) -> str:
        command = ["pretrain", str(recipe), "--out", str(tmp_path / name), "--device", "cpu", *options]
        result = RUN.invoke(app, command)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return digest(tmp_path / name)

    return run


def test_a_network_is_written_with_its_curve_and_no_checkpoint_is_left(
    recipe_file: Path, train: Callable[..., str], tmp_path: Path
):
    train(recipe_file, "library")
    names = {path.name for path in (tmp_path / "library" / "tiny").iterdir()}
    assert names >= {"card.json", "weights.safetensors", "curve.jsonl"}
    assert "checkpoint" not in names
    lines = [json.loads(line) for line in (tmp_path / "library/tiny/curve.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3]


def test_the_card_records_precision_device_and_threads(
    recipe_file: Path, train: Callable[..., str], tmp_path: Path
):
    train(recipe_file, "library", "--precision", "bf16")
    assert Library(tmp_path / "library").card("tiny").recipe.endswith("1 threads, bf16 on cpu")


def test_a_command_killed_with_sigkill_goes_on_when_it_is_given_again(
    recipe_file: Path, train: Callable[..., str], tmp_path: Path
):
    recipe = stretched(recipe_file, 150)
    arguments = ["pretrain", str(recipe), "--out", str(tmp_path / "killed"), "--device", "cpu"]
    script = f"from model_library.zoo.cli import app; app({[*arguments, '--checkpoint-every-s', '0']!r})"
    record = tmp_path / "killed" / "tiny" / "checkpoint" / "checkpoint.json"
    with subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 90
        while not record.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    done = json.loads(record.read_text())["step"]
    assert 0 < done < 150
    assert not (tmp_path / "killed" / "tiny" / "card.json").exists()
    assert train(recipe, "killed") == train(recipe, "undisturbed")
    curves = [(tmp_path / name / "tiny" / "curve.jsonl").read_text() for name in ("killed", "undisturbed")]
    assert curves[0] == curves[1]


def interrupted(recipe: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave a checkpoint behind, as a full disk at the very end would."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("model_library.zoo.pretraining.save_network", full)
        with pytest.raises(OSError, match="No space"):
            run_pretraining(Pretraining(recipe, Library(folder)))


def test_a_checkpoint_of_another_recipe_is_refused_unless_training_begins_afresh(
    recipe_file: Path, train: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    interrupted(recipe_file, tmp_path / "library", monkeypatch)
    stretched(recipe_file, 4)
    with pytest.raises(CheckpointError, match="steps was 3, is 4"):
        train(recipe_file, "library")
    assert train(recipe_file, "library", "--afresh") == train(recipe_file, "other")


def test_a_checkpoint_of_other_specimens_is_refused(
    recipe_file: Path, train: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    interrupted(recipe_file, tmp_path / "library", monkeypatch)
    recipe_file.write_text(recipe_file.read_text().replace("images = 2", "images = 3"))
    with pytest.raises(CheckpointError, match="data was"):
        train(recipe_file, "library")


EARLY = "early_stopping = {every = 2, patience = 1, batches = 1}"


def test_held_out_specimens_may_end_a_training_early(
    recipe_file: Path, train: Callable[..., str], tmp_path: Path
):
    recipe = stretched(recipe_file, 60, EARLY, "learning_rate = 0.9")
    train(recipe, "library")
    lines = [json.loads(line) for line in (tmp_path / "library/tiny/curve.jsonl").read_text().splitlines()]
    judged = [line["step"] for line in lines if line["validation"] is not None]
    assert len(lines) < 60
    assert judged == list(range(2, len(lines) + 1, 2))


def micrographs(folder: Path, count: int, nm: float = 4.0) -> Path:
    (folder / "alloy").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(count):
        pixels = rng.integers(0, 255, (100, 200)).astype(np.uint8)
        write_tiff(folder / "alloy" / f"{number}.tif", pixels, nm)
    return folder


def write_tiff(path: Path, pixels: np.ndarray, nm: float) -> None:
    path.write_bytes(encode_acquisition(Frame(pixels, pixel_size_nm=nm)))


SOURCE = '[[micrographs]]\nfolder = "alloy"\npattern = "*.tif"\nterms = "MIT"\nbin = 2\n'


def test_images_that_judge_are_never_trained_on_and_the_card_names_all(
    write_recipe: Callable[..., Path], tmp_path: Path
):
    recipe = read_recipe(stretched(write_recipe(micrographs=SOURCE), 5, EARLY))
    lesson = lesson_of(recipe, micrographs(tmp_path / "data", 9))
    learnt, judged = lesson.objective.source.pool, lesson.objective.held_out.pool
    assert {image.tobytes() for image in learnt}.isdisjoint(image.tobytes() for image in judged)
    # Two squares of 48 pixels in each of nine binned micrographs, one of which judges; specimens besides.
    assert (len(learnt), len(judged)) == (2 + 8 * 2, 2 + 2)
    assert lesson.seen[1].images == 9


def test_one_image_under_two_names_cannot_judge(write_recipe: Callable[..., Path], tmp_path: Path):
    data = micrographs(tmp_path / "data", 8)
    (data / "alloy" / "9.tif").write_bytes((data / "alloy" / "0.tif").read_bytes())
    recipe = read_recipe(stretched(write_recipe(micrographs=SOURCE), 5, EARLY))
    with pytest.raises(RecipeError, match="hold out images of other fields"):
        lesson_of(recipe, data)


def test_mixed_pixel_sizes_and_small_images_are_refused_before_training(
    write_recipe: Callable[..., Path], tmp_path: Path
):
    data = micrographs(tmp_path / "data", 2)
    write_tiff(data / "alloy" / "5.tif", np.ones((100, 200), np.uint8), 9.0)
    recipe = read_recipe(write_recipe(micrographs=SOURCE))
    with pytest.raises(RecipeError, match=r"5\.tif: expected one pixel size.*9 nm.*resample"):
        lesson_of(recipe, data)
    write_tiff(data / "alloy" / "5.tif", np.ones((100, 60), np.uint8), 4.0)
    with pytest.raises(RecipeError, match=r"5\.tif: expected sides of at least 96"):
        lesson_of(recipe, data)


@pytest.mark.parametrize("objects", ["label", "background"])
def test_the_border_loss_gets_its_weights(objects: str, write_recipe: Callable[..., Path]):
    recipe = read_recipe(
        write_recipe(
            task='kind = "segment"\nclasses = ["background", "precipitate"]',
            network='kind = "unet"\nwidths = [4, 6]\nout_channels = 2\nresidual = false',
            top=f'label = "precipitate"\nobjects = "{objects}"',
            loss="border_cross_entropy",
        )
    )
    _, targets = lesson_of(recipe, None).objective.source.batch(4, 16, np.random.default_rng(0))
    assert targets.shape == (4, 2, 16, 16)
    assert set(targets[:, 0].unique().tolist()) <= {0.0, 1.0}
    assert (targets[:, 1] > 0).all()


def progress(step: int, validation: float | None = None) -> FitProgress:
    return FitProgress(step, 120, 0.5, 1e-3, validation)


def test_without_a_terminal_a_line_is_told_every_fifty_steps():
    written = io.StringIO()
    with live(Console(file=written)) as tell:
        for step in range(1, 121):
            tell(progress(step, 0.25 if step == 70 else None))
    told = written.getvalue().splitlines()
    assert [line.split(",")[0] for line in told] == [f"step {n} of 120" for n in (50, 70, 100, 120)]
    assert told[1].endswith("held out 0.25000")


def test_on_a_terminal_a_bar_shows_step_loss_and_held_out_loss():
    written = io.StringIO()
    with live(Console(file=written, force_terminal=True, width=120)) as tell:
        tell(progress(30, 0.25))
        tell(progress(31))
    assert "31/120" in written.getvalue()
    assert "loss 0.50000, held out 0.25000" in written.getvalue()
