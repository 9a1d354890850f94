"""A site that lies is dropped with the cause, and the round completes with the others."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ..waiting import until

pytestmark = pytest.mark.timeout(600)

HONEST, LIAR = ("north", "east"), "west"
CAUSES = {1: "NaN|finite", 2: "shape", 3: "keys", 4: "1000000000000|examples"}


@pytest.fixture(scope="module")
def lied_to(small_fleet: Callable[..., Any]) -> dict[str, Any]:
    """A federation of two honest sites and one that tells another lie in every round but the last."""
    fleet = small_fleet((*HONEST, LIAR), rounds=len(CAUSES) + 1, quorum=2)
    for name in HONEST:
        fleet.run_site(name)
    script = Path(__file__).parent / "lying_site.py"
    fleet.start(LIAR, [sys.executable, str(script), str(fleet.site(LIAR))])
    found: dict[str, Any] = until(fleet.over, 420, "the federation to end")
    return found


def test_every_round_completes_with_the_honest(lied_to: dict[str, Any]) -> None:
    assert lied_to["stage"] == "done", lied_to["failure"]
    assert [each["number"] for each in lied_to["rounds"]] == [*CAUSES, len(CAUSES) + 1]
    for each in lied_to["rounds"]:
        assert sorted(each["contributed"]) == sorted(HONEST)


@pytest.mark.parametrize("number", CAUSES)
def test_the_liar_is_dropped_with_the_cause(lied_to: dict[str, Any], number: int) -> None:
    import re

    refused = {one["site"]: one["cause"] for one in lied_to["rounds"][number - 1]["refused"]}
    assert set(refused) == {LIAR}
    assert re.search(CAUSES[number], refused[LIAR]), refused


def test_after_so_many_lies_the_liar_is_asked_no_more(lied_to: dict[str, Any]) -> None:
    last = lied_to["rounds"][-1]
    assert last["refused"] == []
    assert last["absent"] == [{"site": LIAR, "cause": "is in quarantine"}]
