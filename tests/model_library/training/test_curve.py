"""The curve: a line per step, whole after any interruption, and a picture of it."""

import json
from pathlib import Path

import pytest

from model_library.training.config import FitConfig
from model_library.training.curve import CurvePoint, LiveCurve, points_of, read_curve, write_curve
from model_library.training.curve_plot import curve_png
from model_library.training.progress import FitProgress, Judgement
from model_library.training.schedules import learning_rate_at

CONFIG = FitConfig(steps=6, learning_rate=1e-2)
LOSSES = [0.6, 0.5, 0.4, 0.35, 0.3, 0.25]
JUDGED = [Judgement(3, 0.45), Judgement(6, 0.41)]


def told(step: int) -> FitProgress:
    rate = learning_rate_at(step - 1, CONFIG)
    return FitProgress(step, 6, LOSSES[step - 1], rate, dict(JUDGED).get(step))


def test_what_is_told_live_is_what_the_result_says(tmp_path: Path):
    live = LiveCurve(tmp_path / "new" / "curve.jsonl")
    for step in range(1, 7):
        live.tell(told(step))
    assert read_curve(tmp_path / "new" / "curve.jsonl") == points_of(LOSSES, JUDGED, CONFIG)


@pytest.mark.parametrize("torn", ["", '{"step": 6, "lo', "\x00\x00"])
def test_after_an_interruption_steps_that_are_done_again_are_not_told_twice(torn: str, tmp_path: Path):
    path = tmp_path / "curve.jsonl"
    before = LiveCurve(path)
    for step in range(1, 6):
        before.tell(told(step))
    with path.open("a") as file:
        file.write(torn)
    after = LiveCurve(path)
    for step in range(4, 7):
        after.tell(told(step))
    assert [point.step for point in read_curve(path)] == [1, 2, 3, 4, 5, 6]


def test_every_line_is_json_with_loss_rate_and_validation(tmp_path: Path):
    write_curve(tmp_path / "curve.jsonl", points_of(LOSSES, JUDGED, CONFIG))
    lines = [json.loads(line) for line in (tmp_path / "curve.jsonl").read_text().splitlines()]
    assert [line["validation"] for line in lines] == [None, None, 0.45, None, None, 0.41]
    assert lines[0] == {"step": 1, "loss": 0.6, "learning_rate": 1e-2, "validation": None}


@pytest.mark.parametrize("steps", [1, 6])
def test_a_curve_of_any_length_can_be_drawn(steps: int):
    pytest.importorskip("matplotlib")
    points = points_of(LOSSES[:steps], JUDGED, CONFIG)
    assert curve_png(points).startswith(b"\x89PNG")


def test_a_loss_of_zero_can_be_drawn():
    pytest.importorskip("matplotlib")
    assert curve_png([CurvePoint(step=1, loss=0.0, learning_rate=1.0)]).startswith(b"\x89PNG")
