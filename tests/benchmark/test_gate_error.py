"""The benchmark of the gate: its bars hold on few seeds, and a broken test would show."""

import json

import numpy as np
import typer
from typer.testing import CliRunner

from benchmark.gate_error import __main__ as command
from benchmark.gate_error.candidates import drawn, retrained, sharpened, sharpens


def test_equal_networks_are_seldom_promoted_and_better_ones_mostly():
    more = {"seeds": 40, "per_site": 8, "interaction_db": 0.25}
    assert drawn({"here": 0.0}, looks=3, **more) <= 2
    assert drawn({"here": 0.6}, looks=1, **more) >= 36


def test_better_on_average_but_worse_at_one_site_is_never_promoted():
    gains = {"a": 0.8, "b": 0.8, "c": 0.8, "d": -0.3}
    assert drawn(gains, seeds=30, looks=3, per_site=4, interaction_db=0.25) == 0
    assert drawn(gains | {"d": 0.8}, seeds=30, looks=1, per_site=4, interaction_db=0.25) >= 25


def test_trainings_of_equal_means_are_seldom_promoted_over_each_other():
    rng = np.random.default_rng(0)
    scores = 29 + 3 * rng.standard_normal(40) + 0.2 * rng.standard_normal((6, 40))
    scores += scores.mean() - scores.mean(axis=1, keepdims=True)
    assert retrained(scores, seeds=40, looks=5) <= 2
    better = scores + np.linspace(0, 4, 6)[:, None]
    assert retrained(better, seeds=20, looks=5) >= 10


def test_a_network_that_sharpens_noise_is_never_promoted():
    assert sharpened(sharpens, seeds=4, trusting=False) == 0
    assert sharpened(sharpens, seeds=4, trusting=True) == 0


def test_the_command_writes_a_row_for_every_candidate_and_fails_where_a_bar_is_missed(tmp_path, monkeypatch):
    app = typer.Typer()
    app.command()(command.main)
    words = ["--seeds", "5", "--looks", "2", "--json", str(tmp_path / "g.json")]
    assert CliRunner().invoke(app, words).exit_code == 0
    rows = json.loads((tmp_path / "g.json").read_text())["rows"]
    assert len(rows) == 9
    assert all(row["holds"] for row in rows)
    monkeypatch.setattr(command, "sharpened", lambda restore, seeds, trusting: seeds)
    assert CliRunner().invoke(app, words).exit_code == 1
