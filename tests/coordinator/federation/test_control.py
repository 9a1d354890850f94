"""The contract with the pinned Flower: everything that we ask of a SuperLink, asked of a real one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from coordinator.errors import EngineDown, EngineRefused
from coordinator.federation import bundle, control
from coordinator.federation.control import SuperLinkControl
from coordinator.federation.engine import FlowerEngine
from model_library.signing.keys import generate_instrument_key, public_pem

from ...waiting import until
from .serving import app_of, founded

QUICK_SERVER = (
    "from flwr.serverapp import ServerApp\napp = ServerApp()\n@app.main()\ndef main(grid, context): {}\n"
)
IDLE_CLIENT = "from flwr.clientapp import ClientApp\napp = ClientApp()\n"

pytestmark = pytest.mark.timeout(200)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlowerEngine]:
    with FlowerEngine(founded(tmp_path_factory.mktemp("control"))) as engine:
        yield engine


@pytest.fixture(scope="module")
def superlink(engine: FlowerEngine) -> Iterator[SuperLinkControl]:
    with SuperLinkControl(engine.port, engine.authority, engine.database) as superlink:
        yield superlink


def key() -> bytes:
    return public_pem(generate_instrument_key()).encode()


def test_a_node_is_registered_once_under_its_name(superlink: SuperLinkControl) -> None:
    own = key()
    superlink.register("cortex-1", own)
    superlink.register("cortex-1", own)
    assert superlink.nodes()["cortex-1"] == "registered"


def test_a_name_and_a_key_belong_together(superlink: SuperLinkControl) -> None:
    own = key()
    superlink.register("steel-1", own)
    with pytest.raises(EngineRefused, match="found another"):
        superlink.register("steel-1", key())
    with pytest.raises(EngineRefused, match="register steel-2"):
        superlink.register("steel-2", own)


def test_what_is_not_a_key_is_refused(superlink: SuperLinkControl) -> None:
    with pytest.raises(EngineRefused, match="register odd"):
        superlink.register("odd", b"no key")


def test_an_unregistered_node_is_gone_and_unregistering_it_again_does_no_harm(
    superlink: SuperLinkControl,
) -> None:
    superlink.register("steel-3", key())
    for _ in range(2):
        superlink.unregister("steel-3")
    assert "steel-3" not in superlink.nodes()


@pytest.mark.parametrize(
    ("body", "sub_status", "told"),
    [("pass", "completed", ""), ("raise RuntimeError('no quorum')", "failed", "no quorum")],
)
def test_a_run_ends_as_its_server_app_does(
    superlink: SuperLinkControl, tmp_path: Path, body: str, sub_status: str, told: str
) -> None:
    packed = bundle.unsigned(app_of(tmp_path / "app", QUICK_SERVER.format(body), IDLE_CLIENT))
    superlink.store(packed)
    run_id = superlink.start_run(packed.sha256, {"federation-id": "f-1"})
    assert run_id in superlink.unfinished_runs()
    until(lambda: superlink.run_state(run_id).is_finished)
    state = superlink.run_state(run_id)
    assert state.sub_status == sub_status
    assert told in state.details
    assert run_id not in superlink.unfinished_runs()
    superlink.stop_run(run_id)
    assert superlink.run_state(run_id) == state


def test_a_stopped_run_is_finished(superlink: SuperLinkControl, tmp_path: Path) -> None:
    packed = bundle.unsigned(app_of(tmp_path / "app", QUICK_SERVER.format("pass"), IDLE_CLIENT))
    superlink.store(packed)
    run_id = superlink.start_run(packed.sha256, {})
    superlink.stop_run(run_id)
    assert superlink.run_state(run_id).sub_status == "stopped"


def test_a_run_takes_only_the_configuration_that_its_bundle_lists(engine: FlowerEngine) -> None:
    shim = bundle.sign(control.build_bundle(bundle.SHIM), bundle.bundle_key(engine.authority.parent), 1)
    with SuperLinkControl(engine.port, engine.authority, engine.database) as superlink:
        superlink.store(shim)
        with pytest.raises(EngineRefused, match="start a run"):
            superlink.start_run(shim.sha256, {"another": "value"})
        with pytest.raises(EngineRefused, match="start a run"):
            superlink.start_run("0" * 64, {})


def test_an_unknown_run_is_refused_but_need_not_be_stopped(superlink: SuperLinkControl) -> None:
    with pytest.raises(EngineRefused, match="run 12"):
        superlink.run_state(12)
    superlink.stop_run(12)


def test_a_superlink_that_does_not_answer_is_told_from_one_that_refuses(engine: FlowerEngine) -> None:
    with SuperLinkControl(1, engine.authority, engine.database) as nobody, pytest.raises(EngineDown):
        nobody.nodes()
