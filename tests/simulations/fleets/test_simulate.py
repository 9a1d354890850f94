"""`synoptic simulate` with Flower's real engine: small fleets, whole runs, and nothing left behind."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from simulations.errors import ScenarioError
from simulations.simulate_cli import app

from ...running import naming

pytestmark = pytest.mark.timeout(240)

THREE = """
name = "three"
told = "Three small sites."
[network]
kind = "fresh"
widths = [4, 8]
[frames]
trained = 8
gate = 1
held_out = 2
side_px = 64
[federation]
rounds = 2
steps = 2
batch = 4
patch_px = 32
learning_rate = 2e-3
[comparison]
personalised_steps = 2
pooled_steps = 4
[[instruments]]
name = "tissue"
specimen = "cells"
dose = [15, 40]
count = 2
[[instruments]]
name = "alloy"
specimen = "precipitates"
dose = 30
"""


@pytest.fixture
def short() -> Iterator[Path]:
    # Sockets have paths of at most 107 characters: pytest's own folders are too deep.
    with tempfile.TemporaryDirectory(prefix="st", dir="/tmp") as name:
        yield Path(name)


def started(short: Path, scenario: Path, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "simulations.simulate_cli", str(scenario), *more],
        env={**os.environ, "TMPDIR": str(short)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def ended(short: Path, seconds: float = 30.0) -> bool:
    """Whether all has ended that Ray started: the folder is in its arguments."""
    deadline = time.monotonic() + seconds
    while naming(short) and time.monotonic() < deadline:
        time.sleep(0.2)
    return not naming(short)


def test_a_fleet_learns_under_two_seeds_and_nothing_is_left(short: Path, tmp_path: Path) -> None:
    scenario, report = tmp_path / "three.toml", tmp_path / "r"
    scenario.write_text(THREE)
    asked = ("--seed", "4", "--seed", "5", "--json", str(tmp_path / "f.json"), "--report", str(report))
    process = started(short, scenario, *asked)
    said, _ = process.communicate(timeout=200)
    assert process.returncode == 0, said
    both = json.loads((tmp_path / "f.json").read_text())
    assert both["state"] == "completed"
    assert both["seeds"] == [4, 5]
    assert set(both["against_local"]) == {"federated", "personalised", "delivered"}
    found, other = both["runs"]
    assert found["quality"] != other["quality"]
    assert set(found["delivered"]) == set(found["contributions"])
    assert [each["contributed"] for each in found["rounds"]] == [["alloy", "tissue-001", "tissue-002"]] * 2
    assert set(found["contributions"].values()) == {2}
    compared = {"acquired", "start", "federated", "personalised", "delivered", "local_only", "pooled"}
    assert set(found["quality"]) == compared
    assert all(set(sites) == set(found["contributions"]) for sites in found["quality"].values())
    # The weights go to three sites twice; what comes back is coded.
    assert 0 < found["bytes"]["up"] < found["bytes"]["down"]
    assert found["network"]["parameters"] * 4 * 6 < found["bytes"]["down"]
    assert 0 < found["rss_mb"]["server"] < found["rss_mb"]["all"]
    assert "Simulated fleet: three, 2 seeds" in (report / "index.html").read_text()
    assert "Simulated fleet: three" in (report / "seed-4" / "index.html").read_text()
    assert (report / "seed-5" / "quality.png").read_bytes().startswith(b"\x89PNG")
    assert ended(short)
    assert not list(short.iterdir())


def test_interrupted_it_leaves_nothing(short: Path, tmp_path: Path) -> None:
    scenario = tmp_path / "three.toml"
    scenario.write_text(THREE.replace("rounds = 2", "rounds = 500"))
    process = started(short, scenario)
    deadline = time.monotonic() + 120
    while not any("raylet" in line for line in naming(short).values()):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "Interrupted; nothing of it is left" in said
    assert ended(short)
    assert not list(short.iterdir())


def test_real_micrographs_that_are_not_there_are_asked_for(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["five-laboratories"], env={"SYNOPTIC_SHARED_DATA": str(tmp_path)})
    assert isinstance(result.exception, ScenarioError)
    assert "give the folder that holds them with --data" in str(result.exception)
