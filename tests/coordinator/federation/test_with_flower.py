"""The rounds with Flower's own processes, killed on the way; the sites stay away."""

import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from coordinator.federation.engine import FlowerEngine
from coordinator.federation.opening import open_due
from coordinator.federation.performing import Performer
from coordinator.federation.records import Finding, Stage
from coordinator.workplace import Workplace

from .microscopes import beat, opened

pytestmark = pytest.mark.timeout(240)


def processes(folder: Path) -> list[int]:
    """Server apps that have begun on a federation."""
    log = folder / "server_app.log"
    lines = log.read_text().splitlines() if log.exists() else []
    return [told["process"] for line in lines if "process" in (told := json.loads(line))]


def kill_first(folder: Path, seconds: float = 120.0) -> None:
    """Kill the first server app as soon as it is at work."""
    deadline = time.monotonic() + seconds
    while not (found := processes(folder)) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(found[0], signal.SIGKILL)


def test_a_killed_server_app_is_followed_by_another_and_the_cause_is_named(place: Workplace) -> None:
    text = (place.settings.data / "settings.toml").read_text()
    text = text.replace("rounds = 2", "rounds = 2\nassemble_s = 5")
    (place.settings.data / "settings.toml").write_text(text)
    with opened(place.settings.data) as short:
        for instrument in short.identities.all():
            beat(short, instrument, federates=instrument.site_name != "archive")
        engine, federation_id = FlowerEngine(short.settings), open_due(short)
        assert federation_id is not None
        folder = short.settings.federations / federation_id
        performer = Performer(short, engine)
        assert performer.perform(federation_id, Stage.ASSEMBLING) is None
        killer = threading.Thread(target=kill_first, args=(folder,))
        killer.start()
        failure = performer.perform(federation_id, Stage.ROUNDS)
        killer.join()
        ended = short.federations.get(federation_id)
    assert ended is not None
    assert failure is not None
    assert "members online within 5 s, found 0" in failure
    assert ended.findings[Finding.RUNS] == 2
    assert len(processes(folder)) == 2
    assert "run 1 ended without an outcome: failed its server app was killed" in [
        event.text for event in ended.events
    ]
    assert not engine.is_up()
    assert not engine.database.exists()
