"""`synoptic benchmark select` and `race` on folders of simulated images, as a scientist would use them."""

import json
import re

import mrcfile
import numpy as np
import pytest
from typer.testing import CliRunner

from benchmark.cli import app
from benchmark.selection.race_cost import replay
from benchmark.selection.race_rules import RaceRules
from benchmark.selection.score_table import ScoreTable
from benchmark.selection.told import FolderSelection
from model_library.annotations.cvat_writing import write_cvat
from model_library.annotations.runs import pixel_mask
from model_library.annotations.shapes import AnnotatedImage, Annotation
from model_library.cards.acquisition import AcquisitionRange
from model_library.images.frame import Frame
from model_library.images.writers import encode_acquisition
from model_library.networks.config import UNetConfig
from model_library.specimens import render
from model_library.wire.tasks import Segment

SIDE = 160
ROW = {"network", "score", "metric", "ci95", "cost_s", "mpix_per_s", "keeps_up", "reason"}


@pytest.fixture
def images(tmp_path):
    """Three simulated alloys under shot noise, and their precipitates drawn in CVAT."""
    folder = tmp_path / "first"
    folder.mkdir()
    drawn = []
    for number in range(3):
        rng = np.random.default_rng([9, number])
        specimen = render("precipitates", (SIDE, SIDE), rng)
        counts = rng.poisson(40 * specimen.intensity + 5).astype(np.uint16)
        frame = Frame(counts, pixel_size_nm=5.0, field=f"field {number}")
        (folder / f"alloy{number}.tif").write_bytes(encode_acquisition(frame))
        mask = specimen.labels["precipitate"]
        painted = (Annotation("precipitate", pixel_mask(mask)),)
        drawn.append(AnnotatedImage(f"alloy{number}.tif", SIDE, SIDE, painted))
    (tmp_path / "labels.xml").write_bytes(write_cvat(drawn, ["precipitate"]))
    return folder


def choose(images, library, *words):
    out = images.parent / "found.json"
    found = CliRunner().invoke(
        app, ["select", "--images", str(images), "--library", str(library), "--json", str(out), *words]
    )
    return found, (FolderSelection.model_validate_json(out.read_bytes()) if out.is_file() else None)


@pytest.fixture
def denoisers(small_library):
    small_library("first", seed=1, config=UNetConfig(widths=(4, 8)))
    return small_library("second", seed=2, config=UNetConfig(widths=(6, 8))).folder


def test_a_folder_of_images_ranks_the_library_and_draws_the_front(images, denoisers):
    plot = images.parent / "front.png"
    found, told = choose(
        images, denoisers, "--task", "denoise", "--rate-mpix-per-s", "1e-6", "--plot", str(plot)
    )
    assert found.exit_code == 0, found.output
    assert {row.network for row in told.rows} == {"first@1.0.0", "second@1.0.0"}
    assert set(told.rows[0].model_dump()) == ROW
    assert told.rows[0].network == told.selection.winner
    assert told.rows[0].keeps_up is True
    assert told.rows[0].mpix_per_s > 1e-6
    assert told.rows[0].ci95[0] < told.rows[0].score < told.rows[0].ci95[1]
    assert told.pixel_size_nm == 5.0
    assert told.noise["gain"] > 0
    assert told.images == ("alloy0", "alloy1", "alloy2")
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert "runs of a network on a crop instead of" in found.stdout
    [front] = [
        line for line in found.stdout.splitlines() if line.startswith("none is both better and faster")
    ]
    assert {each.key for each in told.selection.fit.front} == set(re.findall(r"[a-z]+@1\.0\.0", front))


def test_the_same_seed_repeats_the_scores(images, denoisers):
    def scores(*words):
        _, told = choose(images, denoisers, "--task", "denoise", *words)
        return told.selection.scores.values

    assert scores("--seed", "4") == scores("--seed", "4") != scores("--seed", "5")


def test_one_image_is_enough_to_rank_and_no_interval_is_claimed(images, denoisers):
    found, told = choose(images, denoisers, "--task", "denoise", "--at-most", "1")
    assert found.exit_code == 0, found.output
    assert {row.ci95 for row in told.rows} == {None}
    assert "one field of view allows no interval" in told.rows[0].reason


def test_files_of_other_makers_are_read_too(images, denoisers):
    counts = np.random.default_rng(3).poisson(30, (SIDE, SIDE)).astype(np.uint16)
    with mrcfile.new(images / "alloy9.mrc") as written:
        written.set_data(counts)
        written.voxel_size = 50.0
    (images / "broken.png").write_bytes(b"none")
    _, told = choose(images, denoisers, "--task", "denoise")
    assert told.images[-1] == "alloy9"
    assert set(told.refused) == {"broken.png"}


def test_images_of_two_magnifications_are_not_mixed(images, denoisers):
    counts = np.random.default_rng(3).poisson(30, (SIDE, SIDE)).astype(np.uint16)
    (images / "other.tif").write_bytes(encode_acquisition(Frame(counts, pixel_size_nm=9.0)))
    found, _ = choose(images, denoisers, "--task", "denoise")
    assert "expected images of one pixel size" in str(found.exception)


def test_an_impossible_rate_states_the_shortfall(images, denoisers):
    _, told = choose(images, denoisers, "--task", "denoise", "--rate-mpix-per-s", "1e9")
    assert told.selection.fit.shortfall > 0.99
    assert {row.keeps_up for row in told.rows} == {False}
    assert "no network is known to keep up" in told.rows[0].reason


def test_labels_score_segmentation(images, small_library):
    task = Segment(classes=("background", "precipitate"))
    small_library("seg-a", task=task, seed=1)
    library = small_library("seg-b", task=task, seed=2).folder
    labels = str(images.parent / "labels.xml")
    found, told = choose(images, library, "--task", "segment:background,precipitate", "--labels", labels)
    assert found.exit_code == 0, found.output
    assert {row.metric for row in told.rows} == {"dice_expected"}
    assert all(0 <= row.score <= 1 for row in told.rows)
    assert told.noise["gain"] > 0


def test_a_stated_look_ranks_segmentation_without_labels_and_stands_in_the_record(images, small_library):
    library = small_library("seg", task=Segment(classes=("background", "precipitate"))).folder
    asked = ("--task", "segment:background,precipitate")
    _, told = choose(images, library, *asked)
    assert (told.structure, {row.metric for row in told.rows}) == (None, {"plausibility"})
    found, told = choose(images, library, *asked, "--structure", "dark")
    assert found.exit_code == 0, found.output
    assert (told.structure, {row.metric for row in told.rows}) == ("dark", {"plausibility_stated"})


def test_what_cannot_serve_is_in_the_table_with_the_reason(images, small_library):
    small_library("fits")
    library = small_library("stack", in_channels=3, channels="slices", config=None).folder
    _, told = choose(images, library, "--task", "denoise")
    assert told.left_out == {"stack@1.0.0": "works on slices, not on single grey images"}
    assert told.rows[-1].network == "stack@1.0.0"
    assert told.rows[-1].score is None


def test_a_network_tuned_at_another_beam_voltage_than_the_files_tell_is_left_out(tmp_path, small_library):
    folder = tmp_path / "first"
    folder.mkdir()
    for number in range(2):
        counts = np.random.default_rng(number).poisson(40, (64, 64)).astype(np.uint16)
        frame = Frame(counts, pixel_size_nm=5.0, field=f"field {number}", metadata={"beam_kv": "5"})
        (folder / f"scan{number}.tif").write_bytes(encode_acquisition(frame))
    small_library("slow", acquisition=AcquisitionRange(beam_kv=(3.0, 6.0)))
    library = small_library("fast", seed=1, acquisition=AcquisitionRange(beam_kv=(80.0, 300.0))).folder
    found, told = choose(folder, library, "--task", "denoise")
    assert found.exit_code == 0, found.output
    assert told.acquisition == AcquisitionRange(beam_kv=(5.0, 5.0))
    assert told.left_out == {"fast@1.0.0": "learned from a beam of 80 to 300 kV, and the images have 5 kV"}
    assert told.rows[-1].network == "fast@1.0.0"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--task", "sharpen"], "segment:background,CLASS"),
        (["--task", "super-resolve-x2"], "found those for denoise; ask for one of these"),
        (["--task", "denoise", "--labels", "{labels}"], "leave --labels out"),
        (["--task", "denoise", "--structure", "dark"], "leave it out"),
    ],
)
def test_refusals_say_what_to_do(images, denoisers, words, told):
    labels = str(images.parent / "labels.xml")
    found, _ = choose(images, denoisers, *(word.format(labels=labels) for word in words))
    assert found.exit_code != 0
    assert told in " ".join(f"{found.output} {found.exception}".replace("│", " ").split())


def table(gap, spread):
    rng = np.random.default_rng(1)
    content = rng.normal(0, 3, 200)
    values = {
        f"n{number}": tuple((30 - gap * number + content + rng.normal(0, spread, 200)).tolist())
        for number in range(8)
    }
    return ScoreTable(
        images="made up",
        metric="psnr",
        fields=tuple(str(place % 20) for place in range(200)),
        names=tuple(str(place) for place in range(200)),
        values=values,
        seconds=dict.fromkeys(values, 1.0),
        near_tie=0.05,
    )


def test_replayed_races_tell_cost_and_regret():
    found = replay(table(0.5, 0.2), 20, RaceRules())
    assert [(each.how, each.networks) for each in found.replays] == [
        ("race", 8),
        ("successive halving", 8),
        ("race", 6),
        ("successive halving", 6),
    ]
    whole = found.replays[0]
    assert whole.right == 1.0
    assert whole.cost_mean == whole.time_mean == pytest.approx(8 / 200, rel=0.6)
    assert found.best == "n0"
    noisy = replay(table(0.02, 2.0), 20, RaceRules())
    assert whole.tied == 0 < noisy.replays[0].tied
    assert whole.cost_mean < noisy.replays[0].cost_mean <= noisy.replays[0].cost_max <= 0.15
    assert whole.truth_near is whole.truth_worst is None
    told = replay(
        table(0.5, 0.2).model_copy(update={"truth": {f"n{n}": 30.0 - n for n in range(8)}}), 5, RaceRules()
    )
    assert (told.replays[0].truth_near, told.replays[0].truth_worst) == (1.0, 0.0)
    assert noisy.replays[1].worst_regret > 0


def test_the_race_command_replays_a_table_that_is_there(tmp_path):
    kept, out = tmp_path / "table.json", tmp_path / "race.json"
    kept.write_text(table(0.5, 0.2).model_dump_json())
    words = ["race", "--table", str(kept), "--seeds", "5", "--json", str(out)]
    found = CliRunner().invoke(app, words)
    assert found.exit_code == 0, found.output
    assert json.loads(out.read_text())["replays"][0]["seeds"] == 5
    assert "same winner" in found.stdout
