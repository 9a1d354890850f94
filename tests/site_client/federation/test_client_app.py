"""One message in, one update out, or an error that says why; with Flower's real messages."""

import subprocess
import sys

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, RecordDict
from flwr.supercore.task_identity import TaskIdentity
from safetensors.numpy import load, load_file, save, save_file

from model_library.cards.adaptation import PACKED, AdaptationReport
from site_client.errors import AdaptationRefused
from site_client.federation.client_app import app
from site_client.federation.desk import DESK_VARIABLE, EXCHANGE_VARIABLE, UPDATE_FILE, WEIGHTS_FILE, Desk

WEIGHTS = {"a.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "a.bias": np.ones(2, np.float32)}


@pytest.fixture(autouse=True)
def _in_a_task(monkeypatch) -> None:
    """Give the process what SuperExec gives it: whose message it is that it answers."""
    for name in ("_task_id", "_run_id", "_node_id"):
        monkeypatch.setattr(TaskIdentity, name, 1)


@pytest.fixture
def at_desk(tmp_path, monkeypatch):
    desks = []

    def seat(adapt) -> None:
        desk = Desk(tmp_path / "exchange", adapt, lambda: None)
        desk.open()
        desks.append(desk)
        monkeypatch.setenv(DESK_VARIABLE, str(desk.path))
        monkeypatch.setenv(EXCHANGE_VARIABLE, str(tmp_path / "exchange"))

    yield seat
    for desk in desks:
        desk.close()


def answer(plan_json: str, weights=WEIGHTS) -> Message:
    content = RecordDict(
        {
            "weights": ArrayRecord({PACKED: Array(np.frombuffer(save(dict(weights)), np.uint8))}),
            "plan": ConfigRecord({"json": plan_json}),
        }
    )
    message = Message(content, dst_node_id=1, message_type="train")
    # Flower gives a message its identity when it is pushed.
    message.metadata.__dict__["_message_id"] = "m-1"
    return app(message, Context(1, 1, {}, RecordDict(), {}))


def test_the_update_and_the_report_come_back(at_desk, plan_of, report_of, tmp_path) -> None:
    def adapt(plan, folder):
        weights = load_file(folder / WEIGHTS_FILE)
        save_file({key: values * 2 for key, values in weights.items()}, folder / UPDATE_FILE)
        return report_of(number=plan.number)

    at_desk(adapt)
    reply = answer(plan_of(number=2).model_dump_json())
    assert not reply.has_error()
    update = load(reply.content.array_records["update"][PACKED].numpy().tobytes())
    assert update.keys() == WEIGHTS.keys()
    for key, values in WEIGHTS.items():
        assert update[key].dtype == np.float32
        np.testing.assert_array_equal(update[key], values * 2)
    found = reply.content.config_records["report"]["json"]
    assert AdaptationReport.model_validate_json(found) == report_of(number=2)
    assert list((tmp_path / "exchange").iterdir()) == []


def test_a_refusal_becomes_an_error_with_its_words(at_desk, plan_of) -> None:
    def adapt(plan, folder):
        raise AdaptationRefused("the site's trainer died: signal SIGKILL")

    at_desk(adapt)
    reply = answer(plan_of().model_dump_json())
    assert reply.has_error()
    assert reply.error.reason == "the site's trainer died: signal SIGKILL"


@pytest.mark.parametrize(
    ("plan", "cause"),
    [("{}", "ValidationError"), ("no json", "ValidationError")],
)
def test_a_plan_of_another_version_becomes_an_error(at_desk, report_of, plan, cause) -> None:
    at_desk(lambda plan, folder: report_of())
    assert cause in answer(plan).error.reason


def test_an_update_that_is_not_there_becomes_an_error(at_desk, plan_of, report_of) -> None:
    at_desk(lambda plan, folder: report_of())
    assert "FileNotFoundError" in answer(plan_of().model_dump_json()).error.reason


def test_a_daemon_that_is_gone_becomes_an_error(plan_of, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv(DESK_VARIABLE, str(tmp_path / "desk.json"))
    monkeypatch.setenv(EXCHANGE_VARIABLE, str(tmp_path))
    assert "the site's daemon" in answer(plan_of().model_dump_json()).error.reason


def test_the_client_process_loads_no_torch() -> None:
    program = (
        "import sys, site_client.federation.client_app;"
        "print([m for m in ('torch', 'scipy', 'skimage', 'tifffile') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
