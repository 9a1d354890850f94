"""The inference benchmark: ratios within rounds, slow peers in some of them, honest without a GPU."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmark.inference.contestants import Contestant
from benchmark.inference.measure import Contest, race, scene
from benchmark.inference.rows import BIOIMAGEIO, MONAI, speed_ratio

REPOSITORY = Path(__file__).parents[3]


def test_a_ratio_is_the_median_of_those_within_rounds():
    seconds = {"ours": [1.0, 2.0, 4.0], "theirs": [8.0, 8.0, 8.0]}
    assert speed_ratio(seconds, "ours", "theirs") == 4.0


def test_a_peer_of_few_rounds_is_held_against_those_rounds():
    seconds = {"ours": [1.0, 100.0], "theirs": [3.0]}
    assert speed_ratio(seconds, "ours", "theirs") == 3.0
    assert speed_ratio(seconds, "ours", "absent") is None


def test_everybody_takes_turns_and_slow_peers_sit_out():
    order: list[str] = []

    def contestant(name: str) -> Contestant:
        def restore(image: np.ndarray) -> np.ndarray:
            order.append(name)
            return image

        return Contestant(name, "float32", restore)

    contest = Contest({"unet": (64,)}, rounds=3, slow_rounds=1)
    everybody = [contestant(name) for name in ("ours", MONAI, BIOIMAGEIO)]
    seconds, results = race(contest, everybody, scene(64), lambda _: None)
    warm_up, rounds = order[:3], order[3:]
    assert warm_up == rounds[:3] == ["ours", MONAI, BIOIMAGEIO]
    assert rounds[3:] == ["ours", "ours"]
    assert {name: len(each) for name, each in seconds.items()} == {
        "ours float32": 3,
        "monai float32": 1,
        "bioimageio float32": 1,
    }
    assert all(np.array_equal(each, scene(64)) for each in results.values())


def test_without_a_gpu_the_script_says_so(tmp_path: Path):
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    script = REPOSITORY / "benchmark" / "gpu_inference.py"
    run = subprocess.run(
        [sys.executable, str(script), "--json", str(tmp_path / "gpu.json")],
        capture_output=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr.decode()
    assert json.loads((tmp_path / "gpu.json").read_text()) == {"gpu": None, "note": "no GPU", "rows": []}
