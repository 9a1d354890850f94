"""The engine's children: started and ended with federations, started again when they die."""

import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from coordinator.errors import EngineDown
from coordinator.federation import bundle
from coordinator.federation.children import SUPEREXEC, SUPERLINK, EngineFolder, Restarts
from coordinator.federation.control import SuperLinkControl
from coordinator.federation.engine import FlowerEngine
from coordinator.settings import Settings
from model_library.signing.keys import generate_instrument_key, public_pem

from ...waiting import until
from .serving import app_of, founded

ENDLESS = """
import os, time
from pathlib import Path
from flwr.serverapp import ServerApp
app = ServerApp()

@app.main()
def main(grid, context):
    folder = Path(os.environ["SYNOPTIC_FEDERATIONS"])
    folder.mkdir(exist_ok=True)
    (folder / context.run_config["federation-id"]).write_text(str(os.getpid()))
    while True:
        grid.get_nodes()
        time.sleep(0.2)
"""
CLIENT = "from flwr.clientapp import ClientApp\napp = ClientApp()\n"

KEY = public_pem(generate_instrument_key())


class Clock:
    """Monotonic seconds that a test sets."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def is_alive(pid: int) -> bool:
    stat_file = Path(f"/proc/{pid}/stat")
    return stat_file.exists() and stat_file.read_text().rpartition(")")[2].split()[0] != "Z"


def pid_of(engine: FlowerEngine, name: str) -> int:
    assert engine._supervisor is not None
    return engine._supervisor._started[name].process.pid


@pytest.mark.parametrize(("count", "wait"), [(0, 1), (1, 2), (3, 8), (9, 30)])
def test_a_child_waits_longer_after_each_death(count: int, wait: float) -> None:
    restarts = Restarts(started_at=100.0, count=count)
    assert not restarts.due(100.0 + wait - 0.1)
    assert restarts.due(100.0 + wait)


def test_a_child_that_lived_for_a_minute_begins_anew() -> None:
    assert Restarts(0.0, 5).again(10.0).count == 6
    assert Restarts(0.0, 5).again(60.0).count == 0


def test_an_engine_that_was_never_opened_says_so(tmp_path: Path) -> None:
    engine = FlowerEngine(Settings(data=tmp_path))
    assert not engine.is_up()
    engine.keep_up()
    for call in (lambda: engine.port, lambda: engine.register("a", KEY), lambda: engine.run_state(1)):
        with pytest.raises(EngineDown, match="stopped"):
            call()
    engine.close()


def test_a_superlink_that_cannot_start_is_reported_with_what_it_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = FlowerEngine(founded(tmp_path))
    command = ("sh", "-c", "echo out of order; exit 3")
    monkeypatch.setattr(EngineFolder, "command", lambda *_: command)
    with pytest.raises(EngineDown, match="out of order"):
        engine.open()
    assert not engine.is_up()


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, clock: Clock) -> Iterator[FlowerEngine]:
    """An engine whose runs never end by themselves."""
    folder = tmp_path_factory.mktemp("engine")
    with FlowerEngine(founded(folder), clock) as engine:
        endless = bundle.unsigned(app_of(folder / "endless", ENDLESS, CLIENT))
        with SuperLinkControl(engine.port, engine.authority, engine.database) as told:
            told.store(endless)
        engine._bundle_sha256 = endless.sha256
        yield engine


@pytest.fixture
def server_app(engine: FlowerEngine, request: pytest.FixtureRequest) -> tuple[int, int]:
    """A run under way: its number and its process."""
    engine.keep_up()
    run_id = engine.start_run(request.node.name)
    told = engine.database.parents[1] / "federations" / request.node.name
    return run_id, int(until(lambda: told.exists() and told.read_text()))


pytestmark = pytest.mark.timeout(200)


def test_secrets_are_the_owners_only(engine: FlowerEngine) -> None:
    for name in ("superexec.secret", "superlink.key"):
        mode = (engine.database.parent / name).stat().st_mode
        assert stat.S_IMODE(mode) == 0o600
    assert stat.S_IMODE(engine.database.parent.stat().st_mode) == 0o700


def test_opening_again_changes_nothing(engine: FlowerEngine) -> None:
    before = pid_of(engine, SUPERLINK)
    engine.open()
    assert pid_of(engine, SUPERLINK) == before


def test_a_stopped_run_has_no_process_left(engine: FlowerEngine, server_app: tuple[int, int]) -> None:
    run_id, pid = server_app
    assert engine.run_state(run_id).status == "running"
    engine.stop_run(run_id)
    until(lambda: not is_alive(pid), 60)


def test_with_a_killed_superexec_its_runs_end_and_others_can_begin(
    engine: FlowerEngine, server_app: tuple[int, int], clock: Clock
) -> None:
    run_id, pid = server_app
    os.kill(pid_of(engine, SUPEREXEC), signal.SIGKILL)
    until(lambda: not engine._supervisor.alive(SUPEREXEC))
    engine.keep_up()
    assert not engine._supervisor.alive(SUPEREXEC), "expected a pause before the restart"
    clock.now += 30
    engine.keep_up()
    assert engine._supervisor.alive(SUPEREXEC)
    until(lambda: not is_alive(pid), 60)
    assert engine.run_state(run_id).sub_status == "stopped"


def test_a_killed_superlink_comes_back_on_its_port_with_its_nodes_and_the_run_goes_on(
    engine: FlowerEngine, server_app: tuple[int, int], clock: Clock
) -> None:
    run_id, pid = server_app
    engine.register("cortex-1", KEY)
    port = engine.port
    os.kill(pid_of(engine, SUPERLINK), signal.SIGKILL)
    until(lambda: not engine.is_up())
    with pytest.raises(EngineDown):
        engine.run_state(run_id)
    clock.now += 30
    engine.keep_up()
    assert engine.is_up()

    def answers() -> bool:
        try:
            return engine.run_state(run_id).status == "running"
        except EngineDown:
            return False

    until(answers)
    assert engine.port == port
    engine.register("cortex-1", KEY)
    assert is_alive(pid)


def test_closing_ends_everything_and_opening_again_stops_the_runs_that_were_left(
    engine: FlowerEngine, server_app: tuple[int, int]
) -> None:
    run_id, pid = server_app
    children = [pid_of(engine, SUPERLINK), pid_of(engine, SUPEREXEC), pid]
    engine.close()
    assert not engine.is_up()
    assert not any(is_alive(child) for child in children)
    engine.open()
    assert engine.run_state(run_id).is_finished
    engine.finish()
    assert not engine.database.exists()
