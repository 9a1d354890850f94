"""What a SuperNode keeps of a message whose run is stopped while it is fetched; held against flwr itself."""

import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from flwr.app import ConfigRecord, Message, MessageType, RecordDict
from flwr.supercore.inflatable.inflatable_object import get_all_nested_objects, get_object_tree
from flwr.supercore.object_store import ObjectStoreFactory
from flwr.supercore.run import RunNotRunningException
from flwr.supercore.task_identity import TaskIdentity
from flwr.supernode.nodestate import InMemoryNodeState

from site_client.federation import whole_messages
from site_client.federation.whole_messages import fetch_whole

RUN = 7


def stopped(*_: object) -> None:
    raise RunNotRunningException


class Node:
    """Flower's own state of a SuperNode, and what the server would answer."""

    def __init__(self) -> None:
        self.store = ObjectStoreFactory().store()
        self.state = InMemoryNodeState(self.store)
        self.state.set_node_id(1)
        self.state.store_run(
            SimpleNamespace(run_id=RUN, fab_hash="0" * 64, primary_task_type="flwr-serverapp")
        )
        self.message = Message(RecordDict({"plan": ConfigRecord({"json": "{}"})}), 1, MessageType.TRAIN)
        self.message.metadata.__dict__["_message_id"] = self.message.object_id
        self.contents = {key: each.deflate() for key, each in get_all_nested_objects(self.message).items()}

    def fetch(self, how: Callable[..., int | None], **changes: Any) -> int | None:
        given = {
            "state": self.state,
            "object_store": self.store,
            "node_config": {},
            "receive": lambda: (self.message, get_object_tree(self.message)),
            "get_run": stopped,
            "get_fab": stopped,
            "pull_object": lambda _, key: self.contents[key],
            "confirm_message_received": lambda *_: None,
            "trusted_entities": None,
        }
        return how(**(given | changes))

    def left(self) -> tuple[int, int]:
        """Messages and unfinished tasks."""
        tasks = [each for each in self.state.get_tasks() if each.status.status != "finished"]
        return len(self.state.msg_store), len(tasks)


@pytest.fixture(autouse=True)
def _identity(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_task_id", "_run_id", "_node_id"):
        monkeypatch.setattr(TaskIdentity, name, RUN)


flowers = import_module(whole_messages._LOOP)._pull_and_store_message


@pytest.mark.parametrize("call", whole_messages._CALLS)
def test_of_a_message_that_its_run_took_with_it_nothing_is_left(call: str) -> None:
    alone, made_good = Node(), Node()
    assert alone.fetch(flowers, **{call: stopped}) is None
    assert alone.left() == (1, 1), "flwr makes it good by itself: delete whole_messages"
    assert made_good.fetch(partial(fetch_whole, flowers), **{call: stopped}) is None
    assert made_good.left() == (0, 0)


def test_an_answer_that_was_made_while_the_fetch_failed_is_not_taken_for_the_next_ones() -> None:
    node = Node()

    def answered_then_stopped(*_: object) -> None:
        reply = Message(RecordDict(), reply_to=node.message)
        reply.metadata.__dict__["_message_id"] = reply.object_id
        node.state.store_message(reply)
        raise RunNotRunningException

    how = partial(fetch_whole, flowers)
    assert node.fetch(how, confirm_message_received=answered_then_stopped) is None
    assert node.fetch(how) == RUN
    assert node.state.get_messages_legacy(is_reply=True) == []
    assert node.left() == (1, 1)


def test_any_other_message_is_fetched_as_flower_fetches_it() -> None:
    node = Node()
    assert node.fetch(partial(fetch_whole, flowers)) == RUN
    assert node.left() == (1, 1)
    assert node.fetch(lambda **_: None) is None


def test_it_becomes_the_program_that_it_is_given(tmp_path: Path) -> None:
    program = tmp_path / "flower-supernode"
    program.write_text(
        "import sys\n"
        "from importlib import import_module\n"
        "loop = import_module('flwr.supernode.start_client_internal')\n"
        "print(__name__, sys.argv, loop._pull_and_store_message.func.__name__)\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "site_client.federation.whole_messages", str(program), "--port", "1"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={**os.environ, "FLWR_TELEMETRY_ENABLED": "0"},
    )
    assert done.stdout.strip() == f"__main__ ['{program}', '--port', '1'] fetch_whole"
