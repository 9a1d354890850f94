"""The server app as Flower calls it: a federation's folder in, an outcome in that folder out."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import structlog
from flwr.app import Context, RecordDict
from flwr.supercore.task_identity import TaskIdentity

from coordinator.federation import server_app
from coordinator.federation.memory_fleet import MemoryFleet
from coordinator.federation.plan import PLAN_FILE, FederationFileError, read_outcome
from coordinator.federation.server_app import federation_folder, lead

from .scripted_grid import ScriptedGrid, node
from .sites import found, good_sites


@pytest.fixture(autouse=True)
def flower_task(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_task_id", "_run_id", "_node_id"):
        monkeypatch.setattr(TaskIdentity, name, 1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "denoise-1").mkdir()
    found(tmp_path / "denoise-1", rounds=1)
    return tmp_path / "denoise-1"


def start(folder: Path, federation_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNOPTIC_FEDERATIONS", str(folder.parent))
    grid = ScriptedGrid({key: node(site) for key, site in good_sites().items()})
    configured = structlog.get_config()
    try:
        context = Context(1, 1, {}, RecordDict(), {"federation-id": federation_id})
        server_app.app(grid, context)
    finally:
        structlog.configure(**configured)


def test_a_run_leaves_an_outcome_and_a_log(folder: Path, monkeypatch: pytest.MonkeyPatch):
    start(folder, "denoise-1", monkeypatch)
    assert read_outcome(folder).state == "completed"
    told = [json.loads(line)["event"] for line in (folder / "server_app.log").read_text().splitlines()]
    assert told == ["started", "asked", *["accepted"] * 4, "completed", "ended"]


@pytest.mark.parametrize("name", ["", "..", "denoise-2", "../denoise-1", "a/b", "DENOISE-1"])
def test_a_run_for_no_federation_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str):
    with pytest.raises(FederationFileError, match="expected the folder of a federation"):
        start(folder, name, monkeypatch)


def test_a_run_that_nobody_told_where_to_look_is_refused():
    with pytest.raises(FederationFileError, match="SYNOPTIC_FEDERATIONS=None"):
        federation_folder({}, "denoise-1")


def test_a_plan_that_does_not_read_is_a_failed_federation(folder: Path):
    (folder / PLAN_FILE).write_text("{}")
    outcome = lead(MemoryFleet(good_sites()), folder)
    assert outcome.state == "failed"
    assert "expected the plan of a federation" in outcome.cause
    assert read_outcome(folder) == outcome


def test_what_ends_a_run_otherwise_leaves_no_outcome(folder: Path):
    class Broken(MemoryFleet):
        def send(self, *arguments: object) -> dict[str, str]:
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        lead(Broken(good_sites()), folder)
    assert read_outcome(folder) is None


HANGING = """
import sys, time
from coordinator.federation import server_app
server_app._SILENCE_S = 0.2
with open(sys.argv[1], "a", buffering=1) as log:
    with server_app._bounded(log):
        pass
    log.write("in time\\n")
    with server_app._bounded(log):
        time.sleep(60)
"""


def test_a_process_whose_engine_does_not_answer_ends(tmp_path: Path):
    log = tmp_path / "log"
    ended = subprocess.run([sys.executable, "-c", HANGING, str(log)], timeout=30, check=False)
    assert ended.returncode == 1
    assert log.read_text().startswith("in time\nTimeout")


def test_it_needs_no_torch():
    check = "import sys, coordinator.federation.server_app; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], timeout=60, check=False).returncode == 0
