"""What is read from a federation's folder after a kill."""

import json
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from coordinator.federation.plan import FederationOutcome, RoundRecord, write_outcome
from simulations.kills.fleet import Living
from simulations.kills.killing import goes_on, is_asked, kill, said
from simulations.kills.measure import counted
from simulations.processes import command


def log(folder: Path, *lines: tuple[float, str, dict[str, object]]) -> None:
    told = [
        json.dumps({"event": event, "timestamp": datetime.fromtimestamp(at, UTC).isoformat(), **more})
        for at, event, more in lines
    ]
    # The last line is cut short, as a kill leaves it.
    (folder / "server_app.log").write_text("\n".join([*told, '{"event": "ask']))


def test_a_round_goes_on_when_a_process_that_started_after_the_kill_asks(tmp_path: Path) -> None:
    log(
        tmp_path,
        (10.0, "started", {"process": 1}),
        (11.0, "asked", {"round": 1, "sites": ["north"]}),
        (21.0, "asked", {"round": 2, "sites": ["north"]}),
        (30.0, "started", {"process": 2}),
        (31.5, "asked", {"round": 2, "sites": ["north"]}),
        (39.0, "completed", {"number": 2}),
    )
    assert goes_on(tmp_path, 20.0) == {"round": 2, "at": 31.5, "started": 30.0}
    assert goes_on(tmp_path, 35.0) is None
    assert is_asked(tmp_path, 2)
    assert not is_asked(tmp_path, 3)


def test_or_completes_what_needs_no_further_answer(tmp_path: Path) -> None:
    log(tmp_path, (30.0, "started", {"process": 2}), (31.0, "completed", {"number": 4}))
    assert goes_on(tmp_path, 20.0) == {"round": 4, "at": 31.0, "started": 30.0}


def test_without_a_log_nothing_was_said(tmp_path: Path) -> None:
    assert said(tmp_path) == []


def record(number: int, *sites: str) -> RoundRecord:
    return RoundRecord(
        number=number,
        started_at=0.0,
        eligible=sites,
        contributed=sites,
        refused=(),
        seconds=1.0,
        train_seconds=0.5,
        bytes_up=1,
        bytes_down=1,
        fields={},
        examples={},
        attempt=1,
    )


def test_an_update_that_counts_twice_shows(tmp_path: Path) -> None:
    rounds = (record(1, "east", "north"), record(2, "north", "north"), record(2, "east"))
    write_outcome(tmp_path, FederationOutcome(state="completed", rounds=rounds, weights="w"))
    found = counted(tmp_path)
    assert (found["completed"], found["contributions"], found["counted_twice"]) == (2, 5, 2)


def test_a_kill_is_one_that_nothing_can_catch() -> None:
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", deaf]) as process:
        while "signal.SIG_IGN" not in command(process.pid):
            time.sleep(0.01)
        kill(Living("trainer", "north", process.pid))
        assert process.wait(20) == -9
