"""What every fleet does, and what a fleet makes of Flower's grid."""

import io
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import httpx
import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Error, Message, RecordDict
from flwr.supercore.task_identity import TaskIdentity
from hypothesis import given
from hypothesis import strategies as st

from coordinator.federation import rounds
from coordinator.federation.fleet import Fleet, Reply
from coordinator.federation.grid_fleet import GridFleet, array_bytes
from coordinator.federation.memory_fleet import MemoryFleet, Site
from coordinator.federation.plan import FederationOutcome
from model_library.cards.adaptation import PACKED

from .scripted_grid import Node, ScriptedGrid, node, packed
from .sites import (
    ASHBY,
    BOREAL,
    CORTEX,
    DELTA,
    WEIGHTS,
    ManualClock,
    adapting,
    found,
    good_sites,
    plan_of,
    report_of,
    silent,
    update_of,
)

ADAPTATION = plan_of().adaptation(1)
Founder = Callable[[dict[str, Site]], Fleet]


@pytest.fixture(autouse=True)
def flower_task(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flower's messages know in which task they were made."""
    for name in ("_task_id", "_run_id", "_node_id"):
        monkeypatch.setattr(TaskIdentity, name, 1)


@pytest.fixture(params=["memory", "grid"])
def fleet_of(request: pytest.FixtureRequest) -> Founder:
    if request.param == "memory":
        return MemoryFleet
    return lambda sites: GridFleet(ScriptedGrid({key: node(site) for key, site in sites.items()}))


def ask(fleet: Fleet, *to: str) -> dict[str, str]:
    return fleet.send(ADAPTATION, WEIGHTS, to, 600.0)


def test_instruments_are_known_by_their_ids(fleet_of: Founder):
    assert fleet_of({ASHBY: silent, BOREAL: silent}).online() == {ASHBY, BOREAL}


def test_an_update_comes_back_as_it_was_sent(fleet_of: Founder):
    fleet = fleet_of(good_sites())
    [(message_id, instrument_id)] = ask(fleet, CORTEX).items()
    [reply] = fleet.replies([message_id])
    update, report = adapting(2)(ADAPTATION, WEIGHTS)
    assert (instrument_id, reply.message_id) == (CORTEX, message_id)
    assert (reply.error, reply.report) == (None, report)
    assert {key: (a.dtype, a.shape, a.tobytes()) for key, a in reply.update.items()} == {
        key: (a.dtype, a.shape, a.tobytes()) for key, a in update.items()
    }
    assert reply.size_bytes == (reply.packed_bytes or 4 * 37) + len(report)


def test_a_reply_is_fetched_once(fleet_of: Founder):
    fleet = fleet_of(good_sites())
    waiting = list(ask(fleet, ASHBY, BOREAL))
    assert len(list(fleet.replies(waiting))) == 2
    assert list(fleet.replies(waiting)) == []


def test_only_replies_to_what_is_asked_for_are_fetched(fleet_of: Founder):
    fleet = fleet_of(good_sites())
    first, second = ask(fleet, ASHBY, BOREAL)
    assert [reply.message_id for reply in fleet.replies([second])] == [second]
    assert [reply.message_id for reply in fleet.replies([first])] == [first]


def test_an_error_comes_back_with_its_reason(fleet_of: Founder):
    fleet = fleet_of({ASHBY: lambda plan, weights: "the desk refuses"})
    [reply] = fleet.replies(list(ask(fleet, ASHBY)))
    assert (reply.error, reply.update, reply.size_bytes) == ("the desk refuses", None, 0)


def test_of_the_silent_nothing_comes(fleet_of: Founder):
    fleet = fleet_of({ASHBY: silent})
    assert list(fleet.replies(list(ask(fleet, ASHBY)))) == []


def test_who_is_not_there_is_not_handed_the_message(fleet_of: Founder):
    fleet = fleet_of({ASHBY: silent})
    assert list(ask(fleet, ASHBY, DELTA).values()) == [ASHBY]


def outcome_of(folder: Path, fleet: Fleet, **changes: object) -> FederationOutcome:
    folder.mkdir()
    return rounds.run(found(folder, **changes), fleet, folder, ManualClock().clock)


def unweighed(outcome: FederationOutcome) -> FederationOutcome:
    rounds_ = tuple(record.model_copy(update={"bytes_up": 0}) for record in outcome.rounds)
    return outcome.model_copy(update={"rounds": rounds_})


def test_the_loop_does_the_same_with_flower_as_without(tmp_path: Path):
    sites = good_sites() | {DELTA: lambda plan, weights: "no"}
    grid = ScriptedGrid({key: node(site) for key, site in sites.items()})
    with_flower, without = (
        outcome_of(tmp_path / "a", GridFleet(grid)),
        outcome_of(tmp_path / "b", MemoryFleet(sites)),
    )
    # What travels is packed, which takes other bytes.
    assert all(record.bytes_up > 0 for record in with_flower.rounds)
    assert unweighed(with_flower) == unweighed(without)
    final = "weights-03.safetensors"
    assert (tmp_path / "a" / final).read_bytes() == (tmp_path / "b" / final).read_bytes()


def test_messages_are_for_training_and_expire_with_the_round():
    grid = ScriptedGrid({ASHBY: node(silent)})
    ask(GridFleet(grid), ASHBY)
    [message] = grid.pushed
    assert (message.metadata.message_type, message.metadata.ttl, message.metadata.group_id) == (
        "train",
        600.0,
        "1",
    )


def test_only_nodes_with_a_sign_of_life_are_online():
    statuses = {BOREAL: "offline", CORTEX: "registered", DELTA: "unregistered"}
    grid = ScriptedGrid(dict.fromkeys((ASHBY, BOREAL, CORTEX, DELTA), node(silent)), statuses)
    assert GridFleet(grid).online() == {ASHBY}


def test_a_message_that_flower_does_not_take_is_not_waited_for():
    grid = ScriptedGrid({ASHBY: node(silent), BOREAL: node(silent)}, refuses=frozenset({BOREAL}))
    assert list(ask(GridFleet(grid), ASHBY, BOREAL).values()) == [ASHBY]


def answering(make: Callable[[Message], Message]) -> tuple[GridFleet, list[str]]:
    fleet = GridFleet(ScriptedGrid({ASHBY: make}))
    return fleet, list(ask(fleet, ASHBY))


def content(update: object, report: object) -> Node:
    return lambda message: Message(RecordDict({"update": update, "report": report}), reply_to=message)


GOOD_UPDATE = packed(update_of(WEIGHTS, 1))
GOOD_REPORT = ConfigRecord({"json": report_of(ADAPTATION)})


def saved(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def raw(data: bytes, stype: str = "numpy.ndarray") -> ArrayRecord:
    return ArrayRecord({PACKED: Array("uint8", (1,), stype, data)})


HUGE = saved(np.zeros(3, np.uint8)).replace(b"(3,)", b"(" + b"9" * 12 + b",)").replace(b" " * 11, b"", 1)
MALFORMED: dict[str, tuple[Node, str]] = {
    "no records": (lambda message: Message(RecordDict(), reply_to=message), "malformed: 'update'"),
    "records of other kinds": (content(GOOD_REPORT, GOOD_UPDATE), "records are of another kind"),
    "a report without JSON": (content(GOOD_UPDATE, ConfigRecord({"text": "{}"})), "malformed: 'json'"),
    "a report in bytes": (content(GOOD_UPDATE, ConfigRecord({"json": b"{}"})), "report is no text"),
    "no numpy": (content(raw(b"123"), GOOD_REPORT), "malformed"),
    "another encoding": (content(raw(b"", "torch.pickle"), GOOD_REPORT), "found torch.pickle"),
    "pickled objects": (
        content(raw(saved(np.array([{}, []], object))), GOOD_REPORT),
        "expected an array of bytes",
    ),
    "text": (content(raw(saved(np.array(["x"]))), GOOD_REPORT), "expected an array of bytes"),
    "a header that lies": (content(raw(HUGE), GOOD_REPORT), "expected 999999999999 bytes"),
    "too few bytes": (content(raw(saved(np.zeros(9, np.uint8))[:-1]), GOOD_REPORT), "expected 9 bytes"),
    "numbers instead of bytes": (content(raw(saved(np.zeros(9))), GOOD_REPORT), "expected an array of bytes"),
    "no safetensors": (content(raw(saved(np.zeros(9, np.uint8))), GOOD_REPORT), "malformed"),
    "an error without a reason": (lambda m: Message(Error(0), reply_to=m), "Flower's code 0"),
    "a dead node": (lambda m: Message(Error(5, "NODE_UNAVAILABLE"), reply_to=m), "no sign of life"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_reply_is_an_error_of_its_sender(case: str):
    make, cause = MALFORMED[case]
    fleet, waiting = answering(make)
    [reply] = fleet.replies(waiting)
    assert reply.message_id == waiting[0]
    assert reply.update is None
    assert cause in reply.error


class Unpacking(ScriptedGrid):
    """A grid of which one reply cannot be unpacked."""

    fails_on = ""
    failure: BaseException = ValueError("unknown object type")

    def pull_messages(self, message_ids: list[str]) -> list[Message]:
        if self.fails_on in message_ids:
            raise self.failure
        return super().pull_messages(message_ids)


def test_a_reply_that_does_not_unpack_takes_no_other_with_it():
    grid = Unpacking({key: node(site) for key, site in good_sites().items()})
    fleet = GridFleet(grid)
    waiting = ask(fleet, ASHBY, BOREAL, CORTEX)
    grid.fails_on = next(key for key, instrument_id in waiting.items() if instrument_id == BOREAL)
    found_ = {waiting[reply.message_id]: reply for reply in fleet.replies(list(waiting))}
    assert "does not unpack: ValueError" in found_[BOREAL].error
    assert found_[ASHBY].error is found_[CORTEX].error is None


@pytest.mark.parametrize("failure", [httpx.ConnectError("refused"), ConnectionResetError()])
def test_a_lost_engine_is_nobodys_fault(failure: Exception):
    grid = Unpacking({ASHBY: node(silent)})
    fleet = GridFleet(grid)
    [grid.fails_on] = ask(fleet, ASHBY)
    grid.failure = failure
    with pytest.raises(type(failure)):
        list(fleet.replies([grid.fails_on]))


def locked(status: int) -> httpx.HTTPStatusError:
    request = httpx.Request("POST", "https://127.0.0.1")
    return httpx.HTTPStatusError("x", request=request, response=httpx.Response(status))


def test_a_superlink_that_stumbles_is_asked_again(monkeypatch: pytest.MonkeyPatch):
    grid = Unpacking({ASHBY: node(adapting(1))})
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        grid.fails_on = "" if len(slept) == 3 else grid.fails_on

    fleet = GridFleet(grid, sleep=sleep)
    [message_id] = ask(fleet, ASHBY)
    grid.fails_on, grid.failure = message_id, locked(500)
    assert len(list(fleet.replies([message_id]))) == 1
    assert slept == [0.5, 1.0, 2.0]


@pytest.mark.parametrize(("status", "waits"), [(500, 5), (401, 0)])
def test_but_not_for_ever_and_not_if_it_refuses(status: int, waits: int):
    grid = Unpacking({ASHBY: node(silent)})
    slept: list[float] = []
    fleet = GridFleet(grid, sleep=slept.append)
    [grid.fails_on] = ask(fleet, ASHBY)
    grid.failure = locked(status)
    with pytest.raises(httpx.HTTPStatusError):
        list(fleet.replies([grid.fails_on]))
    assert len(slept) == waits


def test_every_call_to_the_engine_is_bounded_in_time():
    calls: list[str] = []

    def bounded() -> nullcontext[None]:
        calls.append("call")
        return nullcontext()

    fleet = GridFleet(ScriptedGrid({ASHBY: node(adapting(1))}), bounded)
    fleet.online()
    [message_id] = ask(fleet, ASHBY)
    list(fleet.replies([message_id]))
    assert len(calls) == 4


@given(st.binary(max_size=64))
def test_unpacking_gives_what_was_packed(content_: bytes):
    assert array_bytes(Array(np.frombuffer(content_, np.uint8))) == content_


@given(st.integers(0, 200), st.binary(min_size=1, max_size=4))
def test_unpacking_garbage_is_refused_or_harmless(place: int, garbage: bytes):
    data = bytearray(saved(np.arange(8, dtype=np.uint8)))
    data[place : place + len(garbage)] = garbage
    try:
        found_ = array_bytes(Array("uint8", (8,), "numpy.ndarray", bytes(data)))
    except ValueError:
        return
    assert len(found_) <= len(data)


def test_the_size_of_nothing_is_nothing():
    assert Reply("m").size_bytes == 0
