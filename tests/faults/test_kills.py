"""Everything that takes part in a federation is killed with -9, one after the other, and it goes on."""

import os
import time
from collections.abc import Callable
from typing import Any

import pytest

from ..waiting import until

pytestmark = pytest.mark.timeout(600)

SITES = ("north", "east", "south")


def stage(fleet: Any) -> str | None:
    """Where the federation stands."""
    found = fleet.federation()
    return None if found is None else found["stage"]


def rounds_done(fleet: Any) -> int:
    """How many rounds the coordinator counts."""
    found = fleet.federation()
    return 0 if found is None else len(found["rounds"])


@pytest.fixture(scope="module")
def battered(small_fleet: Callable[..., Any]) -> dict[str, Any]:
    """A federation of three rounds in which every kind of process dies once."""
    fleet = small_fleet(SITES, rounds=3, quorum=2)
    for name in SITES:
        fleet.run_site(name)
    killed = []
    killed.append(fleet.kill("flwr-clientapp", "north", seconds=240))
    until(lambda: rounds_done(fleet) >= 1, 150, "the first round to end")
    killed.append(fleet.kill("flower-supernode", "east"))
    killed.append(fleet.kill("flower-superlink", "coordinator"))
    until(lambda: rounds_done(fleet) >= 2, 150, "the second round to end")
    killed.append(fleet.kill("flwr-serverapp", "coordinator"))
    fleet.kill_started("coordinator")
    fleet.kill_started("south")
    until(lambda: not fleet.all_of("flower-", "coordinator"), 30, "the dead coordinator's children to end")
    until(lambda: not fleet.all_of("flower-", "south"), 30, "the dead daemon's children to end")
    fleet.serve()
    fleet.run_site("south")
    ended = until(fleet.over, 300, "the federation to end")
    return {"fleet": fleet, "federation": ended, "killed": killed}


def test_it_ends_with_every_round_done_once(battered: dict[str, Any]) -> None:
    federation = battered["federation"]
    assert federation["stage"] == "done", federation["failure"]
    assert [each["number"] for each in federation["rounds"]] == [1, 2, 3]


def test_no_update_is_counted_twice(battered: dict[str, Any]) -> None:
    for each in battered["federation"]["rounds"]:
        assert len(each["contributed"]) == len(set(each["contributed"]))
        assert 2 <= len(each["contributed"]) <= len(SITES)
        assert set(each["contributed"]) <= set(each["eligible"]) <= set(SITES)
        refused = {one["site"] for one in each["refused"]}
        assert refused.isdisjoint(each["contributed"])
        assert refused | set(each["contributed"]) == set(each["eligible"])


def test_every_refusal_names_its_cause(battered: dict[str, Any]) -> None:
    causes = [one["cause"] for each in battered["federation"]["rounds"] for one in each["refused"]]
    assert all(len(cause) > 10 for cause in causes)


def test_every_site_gets_a_verdict(battered: dict[str, Any]) -> None:
    judged = {each["site"] for each in battered["federation"]["gates"]}
    assert judged == set(SITES)


def test_nothing_of_flower_is_left_running(battered: dict[str, Any]) -> None:
    fleet = battered["fleet"]
    until(lambda: not fleet.all_of("flower-") and not fleet.all_of("flwr-"), 40, "all of Flower to end")


def test_frames_go_on_all_the_while(battered: dict[str, Any]) -> None:
    fleet = battered["fleet"]
    for name in SITES:
        until(lambda name=name: fleet.status(name).frames.waiting == 0, 60, f"{name} to be done")
        counts = fleet.status(name).frames
        assert counts.acquired == counts.reconstructed == 24
        results = list((fleet.site(name) / "results").rglob("*.ome.tif"))
        assert len(results) == 24


def test_without_sites_it_fails_with_a_cause_before_its_deadline(small_fleet: Callable[..., Any]) -> None:
    fleet = small_fleet(SITES, rounds=1, quorum=2, assemble_s=15)
    for name in SITES:
        fleet.run_site(name)
    until(lambda: stage(fleet) is not None, 240, "a federation to begin")
    for name in SITES:
        fleet.kill_started(name)
    ended = until(fleet.over, 150, "the federation to end")
    assert ended["stage"] == "failed"
    assert "2" in ended["failure"]["reason"], ended["failure"]


@pytest.mark.skipif(os.environ.get("SYNOPTIC_LONG") != "1", reason="long form: set SYNOPTIC_LONG=1")
@pytest.mark.parametrize("moment_s", [0.2, 2.0, 6.0])
@pytest.mark.parametrize(
    ("kind", "where"),
    [
        ("flower-superlink", "coordinator"),
        ("flower-superexec", "coordinator"),
        ("flwr-serverapp", "coordinator"),
        ("flower-supernode", "north"),
        ("flower-superexec", "north"),
        ("flwr-clientapp", "north"),
        ("site_client.trainer", "north"),
    ],
)
def test_each_kind_of_process_may_die_at_any_moment(
    small_fleet: Callable[..., Any], kind: str, where: str, moment_s: float
) -> None:
    fleet = small_fleet(SITES, rounds=2, quorum=2)
    for name in SITES:
        fleet.run_site(name)
    until(lambda: fleet.all_of("flwr-clientapp"), 300, "the first round to begin")
    time.sleep(moment_s)
    fleet.kill(kind, where)
    ended = until(fleet.over, 400, "the federation to end")
    assert ended["stage"] == "done", ended["failure"]
    assert [each["number"] for each in ended["rounds"]] == [1, 2]
    fleet.end()
