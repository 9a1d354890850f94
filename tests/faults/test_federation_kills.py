"""Rounds of real processes, one of which is killed with -9 in every round.

`SYNOPTIC_LONG=1` runs the long forms; `SYNOPTIC_KILLS=8x20` sets how many sites and rounds.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from simulations.kills.fleet import KINDS

LONG = pytest.mark.skipif(os.environ.get("SYNOPTIC_LONG") != "1", reason="long form: set SYNOPTIC_LONG=1")
SITES, ROUNDS = map(int, os.environ.get("SYNOPTIC_KILLS", "8x20").split("x"))
COORDINATOR_KILLS = 20
LONGEST_S = 3600


def measured(folder: Path, *arguments: str, longest_s: float = LONGEST_S) -> dict[str, Any]:
    """What the program that kills found."""
    told = folder / "kills.json"
    command = [sys.executable, "-m", "simulations.kills.measure", "--json", str(told)]
    done = subprocess.run(
        [*command, *arguments], capture_output=True, text=True, timeout=longest_s, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(told.read_text())


def assert_complete(found: dict[str, Any], rounds: int, sites: int, quorum: int) -> None:
    """Every round is done once; every site is in it once, or with a cause why not."""
    assert found["state"] == "completed", found["cause"]
    assert [each["number"] for each in found["rounds"]] == list(range(1, rounds + 1))
    assert found["counted_twice"] == 0
    for each in found["rounds"]:
        assert len(each["contributed"]) >= quorum
        assert sorted([*each["contributed"], *each["causes"]]) == [f"site-{n}" for n in range(1, sites + 1)]
        assert all(len(cause) > 10 for cause in each["causes"].values())


@pytest.mark.timeout(400)
def test_a_federation_completes_though_a_process_is_killed_in_every_round(tmp_path: Path) -> None:
    asked = ("--part", "disturbed", "--sites", "2", "--rounds", "2", "--round-s", "30", "--kill-seed", "22")
    found = measured(tmp_path, *asked, longest_s=380)["disturbed"]
    assert_complete(found, rounds=2, sites=2, quorum=1)
    # Seeded; a round that was over before its kill has none.
    order = ["site daemon", "coordinator"]
    killed = [each["kind"] for each in found["killed"]]
    assert killed
    assert killed == order[: len(killed)]


@LONG
@pytest.mark.timeout(3 * LONGEST_S)
def test_one_kill_per_round_changes_the_result_no_more_than_another_seed_does(tmp_path: Path) -> None:
    asked = ("--part", "disturbed", "--quorum", str(SITES // 2))
    found = measured(tmp_path, *asked, "--sites", str(SITES), "--rounds", str(ROUNDS))["disturbed"]
    assert_complete(found, ROUNDS, SITES, SITES // 2)
    assert len(found["killed"]) > ROUNDS // 2
    assert {each["kind"] for each in found["killed"]} <= set(KINDS)
    assert found["compared"]["of_seed_noise"] <= 1


@LONG
@pytest.mark.timeout(LONGEST_S)
def test_the_round_in_which_the_coordinator_is_killed_goes_on(tmp_path: Path) -> None:
    asked = ("--part", "coordinator", "--sites", "3", "--rounds", "100", "--quorum", "2")
    found = measured(tmp_path, *asked, "--kills", str(COORDINATOR_KILLS))["coordinator"]
    assert len(found["killed"]) == COORDINATOR_KILLS
    assert all(each["same_round"] for each in found["killed"])
    assert found["counted_twice"] == 0
