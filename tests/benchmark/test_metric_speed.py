"""The command holds every metric against its reference, and times everybody in turn."""

import json

import pytest
from typer.testing import CliRunner

from benchmark.cli import app
from benchmark.metric_speed import command, references, speeds
from benchmark.metric_speed.scene import planted, scene
from benchmark.metric_speed.speeds import Contest, Entrant, contests, measure, shortfalls
from benchmark.metric_speed.values import compare_values


@pytest.fixture
def without_peers(monkeypatch):
    """As on a computer without the optional libraries."""
    for name in ("TORCHMETRICS", "MONAI", "PYCOCOTOOLS"):
        missing = references.OptionalLibrary("no_such_module_here", "peers")
        monkeypatch.setattr(references, name, missing)
    monkeypatch.setattr(command, "VALUES_SIDE_PX", 256)


def test_every_installed_reference_agrees():
    rows = compare_values(256, seed=3)
    assert {row.metric for row in rows} >= {
        "psnr",
        "ssim",
        "ms_ssim",
        "ms_ssim_affine",
        "density_per_megapixel",
        "size_distribution_distance",
        "area_fraction",
        "frc by half-bit, cycles/px",
        "frc of one image, cycles/px",
        "ap50",
        "panoptic_quality",
        "boundary_f",
    }
    assert [row.metric for row in rows if row.agrees is False] == []


def test_a_scene_is_equal_for_equal_seeds_and_holds_objects():
    one, other = scene(256, 1), scene(256, 1)
    assert (one.image == other.image).all()
    assert (one.found == other.found).all()
    assert 4 <= one.objects.max() <= 40
    assert (planted(0.2, 64, 1)[0] != planted(0.2, 64, 2)[0]).any()


def test_everybody_is_timed_in_turn_and_held_against_ours():
    asked, now = [], [0.0]

    def taking(name, seconds):
        def run():
            asked.append(name)
            now[0] += seconds

        return lambda drawn: run

    contest = Contest(
        "planted",
        taking("ours", 0.5),
        (
            Entrant("slow", taking("slow", 4.0), at_least=6.0),
            Entrant("quick", taking("quick", 0.25), at_least=0.1),
            Entrant("elsewhere", taking("elsewhere", 1.0), at_least=2.0, missing="not installed"),
        ),
        side_px=32,
    )
    row = measure(contest, rounds=3, seed=0, clock=lambda: now[0], tell=asked.append)
    assert asked[-4:] == ["planted: round 3 of 3", "ours", "slow", "quick"]
    assert row.milliseconds == pytest.approx(500)
    slow, quick, elsewhere = row.peers
    assert (slow.ratio, slow.meets, quick.ratio, quick.meets) == (8.0, True, 0.5, True)
    assert (elsewhere.ratio, elsewhere.meets, elsewhere.absent) == (None, None, "not installed")
    assert list(shortfalls((row,))) == []
    missed = row.model_copy(update={"peers": (slow.model_copy(update={"meets": False}),)})
    assert "slow takes 8.0 times" in next(shortfalls((missed,)))


def test_the_command_writes_values_and_speeds(tmp_path, without_peers):
    target = tmp_path / "metrics.json"
    asked = ["metrics", "--side-px", "192", "--rounds", "1", "--json", str(target)]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.output
    report = json.loads(target.read_text())
    assert [row["metric"] for row in report["speeds"]] == [each.metric for each in contests(192)]
    absent = {row["reference"]: row["absent"] for row in report["values"] if row["absent"]}
    assert set(absent) == {"torchmetrics", "pycocotools"}
    assert "pip install 'synoptic[peers]'" in done.stdout
    assert "agrees" in done.stdout


def test_a_value_that_differs_fails_the_command(monkeypatch, without_peers):
    monkeypatch.setattr(references, "ssim", lambda *_, **__: 0.5)
    done = CliRunner().invoke(app, ["metrics", "--rounds", "0"])
    assert done.exit_code == 1
    assert "DIFFERS" in done.stdout
    assert "ssim (scikit-image)" in done.stderr


def test_without_rounds_only_values_are_compared(without_peers):
    report = command.run_metrics(192, 0, 0, tell=lambda words: None)
    assert report.speeds == ()
    assert report.disagreements == ()


@pytest.mark.parametrize("number", range(len(contests(192))))
def test_every_contest_runs_with_what_is_always_installed(number, without_peers):
    contest = speeds.contests(192)[number]
    row = measure(contest, rounds=1, seed=0, tell=lambda words: None)
    assert row.milliseconds >= 0
    assert any(each.ratio is not None for each in row.peers) or all(each.absent for each in row.peers)
