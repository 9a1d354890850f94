"""`synoptic simulate --processes`: real daemons behind links that get cut, and nothing left behind."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(420)

SITES = {"alloy", "tissue"}
# Of this seed the alloy's instrument falls silent once it is asked in round 2, and never else.
TWO = """
name = "two"
told = "Two small sites, one behind a link that is cut."
seed = 1
[network]
kind = "fresh"
widths = [8, 16]
[frames]
trained = 8
held_out = 2
side_px = 384
[federation]
rounds = 2
steps = 2
batch = 4
patch_px = 32
learning_rate = 2e-3
round_s = 120
[comparison]
against = ["local_only", "pooled"]
pooled_steps = 4
[[instruments]]
name = "tissue"
specimen = "cells"
dose = 30
pixel_size_nm = 12
[[instruments]]
name = "alloy"
specimen = "precipitates"
dose = 30
drops_out = 0.5
silent_s = 8
"""


class Started:
    """The command under way, with a folder of its own for whatever is temporary."""

    def __init__(self, folder: Path, room: Path) -> None:
        scenario = folder / "two.toml"
        scenario.write_text(TWO)
        self.folder, self.room = folder, room
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "simulations.simulate_cli", str(scenario), "--processes"),
                *("--json", str(folder / "two.json"), "--report", str(folder / "report")),
            ],
            env={**os.environ, "TMPDIR": str(room)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def running(self, kind: str = "") -> list[int]:
        """Processes of a kind that were started below this one: their temporary folder lies in its own."""
        mark, found = f"TMPDIR={self.room}".encode(), []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                own = mark in (entry / "environ").read_bytes()
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if own and command and kind in command and int(entry.name) != self.process.pid:
                found.append(int(entry.name))
        return found

    def until(self, condition: Callable[[], Any], seconds: float, what: str) -> Any:
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            assert self.process.poll() is None, self.process.communicate()[0]
            assert time.monotonic() < deadline, f"waited in vain for {what}"
            time.sleep(0.1)
        return found

    def ended(self, seconds: float) -> str:
        """What it said until it ended by itself."""
        return self.process.communicate(timeout=seconds)[0]

    def left(self, seconds: float = 0.0) -> list[Any]:
        """Processes and temporary files that are still there after a while."""
        deadline = time.monotonic() + seconds
        while self.running() and time.monotonic() < deadline:
            time.sleep(0.1)
        # Torch makes a cache for whoever imports all of it; it is empty, and lasts.
        files = [path for path in self.room.iterdir() if not path.name.startswith("torchinductor")]
        return [*self.running(), *files]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Started]]:
    started: list[Started] = []

    def begin() -> Started:
        # Sockets have paths of at most 107 characters: pytest's own folders are too deep.
        room = Path(tempfile.mkdtemp(prefix="st", dir="/tmp"))
        started.append(Started(tmp_path_factory.mktemp("deployed"), room))
        return started[-1]

    yield begin
    for each in started:
        if each.process.poll() is None:
            each.process.kill()
            each.process.communicate(timeout=20)
        for pid in each.running():
            os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def whole(start: Callable[[], Started]) -> dict[str, Any]:
    """A scenario that ran to its end."""
    started = start()
    said = started.ended(400)
    assert started.process.returncode == 0, said
    told = json.loads((started.folder / "two.json").read_text())
    return {**told, "said": said, "left": started.left(), "report": started.folder / "report"}


def test_both_sites_contribute_although_a_link_is_cut(whole: dict[str, Any]) -> None:
    assert (whole["mode"], whole["state"]) == ("processes", "completed")
    assert [sorted(each["contributed"]) for each in whole["rounds"]] == [sorted(SITES)] * 2
    assert whole["contributions"] == dict.fromkeys(SITES, 2)
    (outage,) = whole["outages"]
    assert (outage["site"], outage["cause"], outage["number"]) == ("alloy", "drops out", 2)
    assert outage["seconds"] >= 8


def test_a_cut_link_is_noticed_at_its_site_alone(whole: dict[str, Any]) -> None:
    said = {site: (whole["report"] / "log" / site / "daemon.log").read_text() for site in SITES}
    assert "Connection refused" in said["alloy"]
    assert "Connection refused" not in said["tissue"]


def test_it_is_judged_as_the_simulation_is(whole: dict[str, Any]) -> None:
    assert set(whole["quality"]) == {"acquired", "start", "federated", "local_only", "pooled"}
    assert all(set(sites) == SITES for sites in whole["quality"].values())
    assert whole["quality"]["federated"] != whole["quality"]["start"]
    assert whole["pooled_steps"] == 4


def test_instruments_train_on_what_the_scenario_gives_them(whole: dict[str, Any]) -> None:
    for record in whole["rounds"]:
        # One frame in eight is spared.
        assert record["examples"] == dict.fromkeys(SITES, 7)
        assert {site: each["frames"] for site, each in record["evaluation"].items()} == dict.fromkeys(
            SITES, 1
        )


def test_what_passes_the_links_is_updates_and_no_image(whole: dict[str, Any]) -> None:
    for site, link in whole["links"].items():
        assert link["images"] == 0, site
        up = [each["up"] for each in link["rounds"]]
        assert 0 < link["updates"] < sum(up) <= link["up"]
        # All that a site said besides its updates is less than one of its eight frames.
        assert sum(up) - link["updates"] < link["frames"] / 8
        raw = 4 * whole["network"]["parameters"]
        assert [each["of_raw"] for each in link["rounds"]] == pytest.approx([each / raw for each in up])
        # The network came to it in every round.
        assert all(each["down"] > raw for each in link["rounds"])
    assert whole["bytes"]["up"] == sum(link["up"] for link in whole["links"].values())


def test_memory_is_that_of_every_process(whole: dict[str, Any]) -> None:
    held = whole["rss_mb"]
    assert set(held["sites"]) == SITES
    assert all(200 < each < held["all"] for each in (held["server"], *held["sites"].values()))


def test_it_reports_what_passed_the_links(whole: dict[str, Any]) -> None:
    page = (whole["report"] / "index.html").read_text()
    assert "link is a relay outside both" in page
    assert "drops out of round 2" in page
    assert "alloy: link cut after" in whole["said"]
    for file in ("coordinator.log", "alloy/supernode.log", "tissue/daemon.log"):
        assert (whole["report"] / "log" / file).is_file()


def test_at_its_end_nothing_is_left(whole: dict[str, Any]) -> None:
    assert whole["left"] == []


def test_interrupted_in_a_federation_it_leaves_nothing(start: Callable[[], Started]) -> None:
    started = start()
    started.until(lambda: len(started.running("flower-supernode")) == len(SITES), 300, "SuperNodes")
    started.process.send_signal(signal.SIGINT)
    said = started.ended(90)
    assert started.process.returncode == 130, said
    assert "Interrupted; nothing of it is left" in said
    assert started.left() == []


def test_a_daemon_that_dies_ends_it_and_leaves_nothing(start: Callable[[], Started]) -> None:
    started = start()
    victim = started.until(lambda: started.running("site run"), 200, "a daemon")[0]
    os.kill(victim, signal.SIGKILL)
    said = started.ended(90)
    assert started.process.returncode == 1, said
    assert "to keep running, found that it ended" in " ".join(said.split())
    assert started.left() == []


@pytest.mark.skipif(os.environ.get("SYNOPTIC_LONG") != "1", reason="long form: set SYNOPTIC_LONG=1")
def test_killed_itself_it_leaves_no_process(start: Callable[[], Started]) -> None:
    started = start()
    started.until(lambda: len(started.running("flower-supernode")) == len(SITES), 300, "SuperNodes")
    started.process.kill()
    started.process.communicate(timeout=20)
    started.left(30)
    assert started.running() == []
