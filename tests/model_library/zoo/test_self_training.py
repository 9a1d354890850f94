"""A denoiser from noisy frames alone: what is learned, what is held out, and what the card says of it."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from rich.console import Console
from typer.testing import CliRunner

from benchmark.cli import app as benchmark
from model_library.errors import RecipeError
from model_library.images.frame import Frame
from model_library.images.writers import encode_acquisition
from model_library.signing.digests import sha256_file
from model_library.training.curve import LiveCurve, read_curve
from model_library.training.progress import FitProgress
from model_library.zoo.cli import app
from model_library.zoo.own_frames import read_own_frames
from model_library.zoo.registry import Library
from model_library.zoo.self_training import SelfTraining, run_self_training

QUIET = Console(quiet=True)


def scene(seed: int, side: int = 96) -> np.ndarray:
    """Smooth blobs [Y, X] in electrons, without noise."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:side, :side]
    clean = np.full((side, side), 20.0)
    for _ in range(12):
        y, x, radius = rng.uniform(0, side), rng.uniform(0, side), rng.uniform(6, 14)
        clean += rng.uniform(10, 60) / (1 + np.exp(np.hypot(rows - y, columns - x) - radius))
    return clean


def noisy(seed: int, repeat: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, repeat]).poisson(scene(seed)).astype(np.uint16)


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    folder = tmp_path / "frames"
    folder.mkdir()
    for seed in range(11):
        content = encode_acquisition(Frame(noisy(seed), 4.0))
        (folder / f"scan-{seed}.tif").write_bytes(content)
    return folder


def asked(frames: Path, tmp_path: Path, **changes: object) -> SelfTraining:
    """A short training of a small network."""
    usual = {
        "images": frames,
        "method": "noise2void",
        "library": Library(tmp_path / "out"),
        "network_id": "own",
        "architecture": "residual-denoiser",
        "steps": 6,
        "batch": 4,
        "patch_px": 32,
    }
    return SelfTraining(**usual | changes)


def test_the_network_enters_a_library_with_a_card_that_tells_what_it_learned(frames, tmp_path) -> None:
    done = run_self_training(asked(frames, tmp_path), QUIET)
    library = Library(tmp_path / "out")
    assert library.verify("own") == done.card
    assert done.card.pixel_size_nm == (4.0, 4.0)
    assert len(done.frames.held_out) == 2
    learned = {frames / each.name for each in done.frames.learned}
    assert set(done.card.training_data[-1].digests) == {sha256_file(file) for file in learned}
    assert len(learned) == 9
    curve = read_curve(tmp_path / "out" / "own" / "curve.jsonl")
    assert [point.step for point in curve] == list(range(1, 7))
    assert any(point.validation is not None for point in curve)
    assert (tmp_path / "out" / "own" / "curve.png").read_bytes().startswith(b"\x89PNG")
    assert not (tmp_path / "out" / "own" / "checkpoint").exists()
    assert done.psnr_repeat.keys() == {"acquired", "trained"}


@pytest.mark.parametrize("method", ["noise2void", "noise2self"])
def test_noise_is_removed_though_nothing_clean_was_seen(frames, tmp_path, method) -> None:
    done = run_self_training(asked(frames, tmp_path, method=method, steps=150), QUIET)
    assert done.psnr_repeat["trained"] > done.psnr_repeat["acquired"] + 0.3


def test_repeats_of_a_field_are_each_others_truth(tmp_path) -> None:
    folder = tmp_path / "repeats"
    folder.mkdir()
    for seed in range(4):
        pages = np.stack([noisy(seed, repeat) for repeat in range(3)])
        tifffile.imwrite(folder / f"stack-{seed}.tif", pages, photometric="minisblack")
    for seed in (4, 5):
        (folder / f"field-{seed}").mkdir()
        for repeat in range(2):
            content = encode_acquisition(Frame(noisy(seed, repeat), 4.0))
            (folder / f"field-{seed}" / f"{repeat}.tif").write_bytes(content)
    (folder / "alone.tif").write_bytes(encode_acquisition(Frame(noisy(9), 4.0)))
    found = read_own_frames(folder, repeated=True)
    sizes = {each.name: len(each.frames) for each in found.learned + found.held_out}
    assert sizes == {f"stack-{n}.tif": 3 for n in range(4)} | {"field-4": 2, "field-5": 2}
    assert "alone.tif: expected at least two frames of one size" in found.left_out["alone.tif"]
    done = run_self_training(asked(folder, tmp_path, method="noise2noise", steps=60), QUIET)
    assert done.psnr_repeat["trained"] > done.psnr_repeat["acquired"] + 1


def test_frames_of_one_field_of_view_fall_on_one_side(tmp_path) -> None:
    for number in range(12):
        content = encode_acquisition(Frame(noisy(number), 4.0, f"field-{number // 3}"))
        (tmp_path / f"{number}.tif").write_bytes(content)
    found = read_own_frames(tmp_path, repeated=False)
    assert sorted(len(each.frames) for each in found.learned + found.held_out) == [3, 3, 3, 3]


def test_training_goes_on_from_a_network_and_the_card_tells_its_descent(frames, tmp_path) -> None:
    done = run_self_training(asked(frames, tmp_path, start="residual-denoise-mixed", steps=2), QUIET)
    parent = Library().card("residual-denoise-mixed")
    assert done.card.lineage.parent_weights_sha256 == parent.weights_sha256
    assert done.card.training_data[:-1] == parent.training_data
    assert done.psnr_repeat.keys() == {"acquired", "start", "trained"}


class Killed(BaseException):
    """The process is gone."""


def test_an_interrupted_training_goes_on_to_the_same_weights(frames, tmp_path, monkeypatch) -> None:
    whole = run_self_training(asked(frames, tmp_path, network_id="whole"), QUIET)
    cut = asked(frames, tmp_path, network_id="cut", checkpoint_every_s=0.0)
    tell = LiveCurve.tell

    def tell_or_die(curve: LiveCurve, now: FitProgress) -> None:
        if now.step == 4:
            raise Killed
        tell(curve, now)

    with monkeypatch.context() as patched:
        patched.setattr(LiveCurve, "tell", tell_or_die)
        with pytest.raises(Killed):
            run_self_training(cut, QUIET)
    assert [point.step for point in read_curve(tmp_path / "out" / "cut" / "curve.jsonl")] == [1, 2, 3]
    steps: list[int] = []
    with monkeypatch.context() as patched:
        patched.setattr(LiveCurve, "tell", lambda curve, now: steps.append(now.step))
        again = run_self_training(cut, QUIET)
    assert steps == [4, 5, 6]
    assert again.card.weights_sha256 == whole.card.weights_sha256


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda f: [path.unlink() for path in sorted(f.glob("*"))[1:]], "at least two fields of view"),
        (lambda f: (f / "b.tif").write_bytes(encode_acquisition(Frame(noisy(50), 9.0))), "one pixel size"),
        (
            lambda f: (f / "b.tif").write_bytes(encode_acquisition(Frame(noisy(50)[:20], 4.0))),
            "b.tif: expected sides of at least 32",
        ),
    ],
)
def test_frames_that_cannot_teach_are_refused_with_the_file(frames, tmp_path, spoil, expected) -> None:
    spoil(frames)
    with pytest.raises(RecipeError, match=expected):
        run_self_training(asked(frames, tmp_path), QUIET)
    assert not (tmp_path / "out").exists()


def test_what_restores_nothing_is_no_start(frames, tmp_path) -> None:
    with pytest.raises(RecipeError, match="expected a network that denoises grey frames"):
        run_self_training(asked(frames, tmp_path, start="unet-segment-cracks"), QUIET)


def test_the_commands_train_judge_and_write_the_card(frames, tmp_path) -> None:
    told = tmp_path / "trained.json"
    (frames / "letter.tif").write_bytes(b"Dear microscope, this is a letter.")
    where = ["--images", str(frames), "--out", str(tmp_path / "out"), "--json", str(told)]
    how = ["--method", "noise2void", "--steps", "40", "--patch-px", "32", "--batch", "4"]
    done = CliRunner().invoke(app, ["train", *where, *how, "--architecture", "residual-denoiser"])
    assert done.exit_code == 0, done.output
    found = json.loads(told.read_text())
    assert found["id"] == "residual-denoiser-noise2void"
    assert "letter.tif" in found["left_out"]
    where = ["--images", str(frames), "--library", str(tmp_path / "out"), "--crop-px", "96"]
    judged = CliRunner().invoke(benchmark, ["own-frames", found["id"], *where, "--write"])
    assert judged.exit_code == 0, judged.output
    card = Library(tmp_path / "out").verify(found["id"])
    assert [score.metric for score in card.scores] == ["psnr_repeat", "psnr_repeat_gain"]
    assert card.scores[0].fields == len(found["held_out"]) == 2
    assert card.scores[0].best_classical is not None
    assert card.scores[0].command.endswith("--library LIBRARY --crop-px 96 --seed 0")
    again = tmp_path / "again.json"
    repeated = CliRunner().invoke(benchmark, ["own-frames", found["id"], *where, "--json", str(again)])
    assert repeated.exit_code == 0, repeated.output
    assert [score["value"] for score in json.loads(again.read_text())["scores"]] == [
        score.value for score in card.scores
    ]


@pytest.mark.parametrize(("group", "command"), [(app, "train"), (benchmark, "own-frames")])
def test_help_has_an_example(group, command) -> None:
    assert "Example: synoptic" in CliRunner().invoke(group, [command, "--help"]).output
