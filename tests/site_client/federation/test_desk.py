"""Flower's client process and the daemon talk over loopback; every way of failing has its words."""

import socket
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from site_client.errors import AdaptationRefused
from site_client.federation.desk import Desk, ask_desk
from site_client.federation.sealed import Notice, give_notice, read_line, seal, unseal


@pytest.fixture
def open_desk(tmp_path):
    opened = []

    def make(adapt, give_up=lambda: None) -> Desk:
        desk = Desk(tmp_path / "exchange", adapt, give_up)
        desk.open()
        opened.append(desk)
        return desk

    yield make
    for desk in opened:
        desk.close()


def asked(tmp_path: Path) -> Path:
    return Path(tempfile.mkdtemp(dir=tmp_path / "exchange"))


def test_a_question_is_answered_with_a_report(open_desk, plan_of, report_of, tmp_path) -> None:
    seen = []

    def adapt(plan, folder):
        seen.append((plan, folder))
        return report_of()

    desk = open_desk(adapt)
    exchange = asked(tmp_path)
    assert ask_desk(desk.path, exchange, plan_of()) == report_of()
    assert seen == [(plan_of(), exchange)]


def test_a_refusal_arrives_with_its_words(open_desk, plan_of, tmp_path) -> None:
    def adapt(plan, folder):
        raise AdaptationRefused("expected frames, found none")

    with pytest.raises(AdaptationRefused, match="expected frames, found none"):
        ask_desk(open_desk(adapt).path, asked(tmp_path), plan_of())


def test_a_defect_is_told_and_the_desk_goes_on(open_desk, plan_of, report_of, tmp_path) -> None:
    answers = iter([None, report_of()])
    desk = open_desk(lambda plan, folder: next(answers))
    with pytest.raises(AdaptationRefused, match="AttributeError"):
        ask_desk(desk.path, asked(tmp_path), plan_of())
    assert ask_desk(desk.path, asked(tmp_path), plan_of()) == report_of()


def test_nobody_waits_longer_than_the_plan_says(open_desk, plan_of, report_of, tmp_path) -> None:
    over = threading.Event()

    def adapt(plan, folder):
        over.wait(20)
        return report_of()

    desk = open_desk(adapt, give_up=over.set)
    with pytest.raises(AdaptationRefused, match=r"within 0\.2 s"):
        ask_desk(desk.path, asked(tmp_path), plan_of(deadline_s=0.2))


def test_a_new_question_ends_the_one_whose_asker_is_gone(open_desk, plan_of, report_of, tmp_path) -> None:
    given_up, at_work = threading.Event(), threading.Event()

    def adapt(plan, folder):
        if plan.number == 1:
            at_work.set()
            given_up.wait(20)
            raise AdaptationRefused("given up")
        return report_of(number=2)

    desk = open_desk(adapt, give_up=given_up.set)
    refused = []

    def ask() -> None:
        with pytest.raises(AdaptationRefused, match="given up") as refusal:
            ask_desk(desk.path, tmp_path, plan_of())
        refused.append(refusal)

    first = threading.Thread(target=ask)
    first.start()
    assert at_work.wait(10)
    assert ask_desk(desk.path, asked(tmp_path), plan_of(number=2)).number == 2
    first.join(10)
    assert refused


def test_a_daemon_that_is_gone_is_named(open_desk, plan_of, report_of, tmp_path) -> None:
    desk = open_desk(lambda plan, folder: report_of())
    desk.close()
    with pytest.raises(AdaptationRefused, match="the site's daemon"):
        ask_desk(desk.path, tmp_path, plan_of())


def test_a_daemon_that_ends_in_between_is_named(plan_of, tmp_path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        give_notice(tmp_path / "desk.json", server.getsockname()[1])
        threading.Thread(target=lambda: server.accept()[0].close(), daemon=True).start()
        with pytest.raises(AdaptationRefused, match="ended"):
            ask_desk(tmp_path / "desk.json", tmp_path, plan_of())


def notice_of(desk: Desk) -> Notice:
    return Notice.model_validate_json(desk.path.read_bytes())


def said(notice: Notice, line: bytes) -> bytes:
    """Everything that is answered to a line."""
    with socket.create_connection(("127.0.0.1", notice.port), 10) as connection:
        connection.sendall(line)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while chunk := connection.recv(1 << 16):
            received += chunk
        return received


@pytest.mark.parametrize("line", [b"no json\n", b'{"plan": {}}\n', b"[]\n", b"", b"0" * 64 + b"{}\n"])
def test_whoever_has_no_seal_gets_no_answer(open_desk, report_of, line) -> None:
    asked_for = []
    desk = open_desk(lambda plan, folder: asked_for.append(plan) or report_of())
    assert said(notice_of(desk), line) == b""
    assert asked_for == []


def test_a_question_under_another_secret_is_not_answered(open_desk, plan_of, report_of, tmp_path) -> None:
    desk = open_desk(lambda plan, folder: report_of())
    give_notice(tmp_path / "forged.json", notice_of(desk).port)
    with pytest.raises(AdaptationRefused, match="ended"):
        ask_desk(tmp_path / "forged.json", asked(tmp_path), plan_of())


def test_somebody_else_on_the_port_cannot_answer(plan_of, report_of, tmp_path) -> None:
    answer = {"report": report_of().model_dump(mode="json")}
    with socket.create_server(("127.0.0.1", 0)) as server:
        give_notice(tmp_path / "desk.json", server.getsockname()[1])

        def impostor() -> None:
            connection, _ = server.accept()
            with connection:
                question = read_line(connection, 10)
                connection.sendall(seal(answer, b"another secret", question))

        threading.Thread(target=impostor, daemon=True).start()
        with pytest.raises(AdaptationRefused, match="seal"):
            ask_desk(tmp_path / "desk.json", tmp_path, plan_of())


@given(
    key=st.binary(min_size=32, max_size=32),
    other=st.binary(min_size=32, max_size=32),
    byte=st.integers(0, 63),
)
def test_a_seal_holds_for_its_key_its_question_and_its_words_alone(key, other, byte) -> None:
    question = seal({"plan": 1}, key)
    answer = seal({"report": 2}, key, question)
    assert unseal(question, key) == {"plan": 1}
    assert unseal(answer, key, question) == {"report": 2}
    damaged = bytearray(answer)
    damaged[byte] ^= 1
    foreign = [(answer, key, b""), (question, key, question), (bytes(damaged), key, question)]
    if other != key:
        foreign.append((answer, other, question))
    for line, with_key, about in foreign:
        with pytest.raises(AdaptationRefused):
            unseal(line, with_key, about)


def test_a_line_that_trickles_in_is_not_awaited_longer_than_said() -> None:
    near, far = socket.socketpair()
    over = threading.Event()

    def trickle() -> None:
        while not over.wait(0.01):
            far.send(b"x")

    slow = threading.Thread(target=trickle)
    slow.start()
    try:
        with pytest.raises(TimeoutError):
            read_line(near, 0.2)
    finally:
        over.set()
        slow.join()
        near.close()
        far.close()


@pytest.mark.parametrize("question", [{"plan": {}}, [], {"exchange": "x"}])
def test_nonsense_is_refused(open_desk, report_of, question) -> None:
    notice = notice_of(open_desk(lambda plan, folder: report_of()))
    line = seal(question, notice.key)
    assert "refused" in unseal(said(notice, line), notice.key, line)


@pytest.mark.parametrize("name", ["..", ".", "", "/etc", "../other", "a/b"])
def test_a_question_cannot_name_a_folder_outside(open_desk, plan_of, report_of, name) -> None:
    notice = notice_of(open_desk(lambda plan, folder: report_of()))
    line = seal({"exchange": name, "plan": plan_of().model_dump(mode="json")}, notice.key)
    assert "expected a folder in" in unseal(said(notice, line), notice.key, line)["refused"]


def test_the_secret_is_this_users_alone_new_for_each_desk_and_gone_with_it(
    open_desk, report_of, tmp_path
) -> None:
    desk = open_desk(lambda plan, folder: report_of())
    assert desk.path.stat().st_mode & 0o077 == 0
    assert desk.path.parent.stat().st_mode & 0o077 == 0
    assert (tmp_path / "exchange").stat().st_mode & 0o077 == 0
    secret = notice_of(desk).secret
    desk.close()
    assert not desk.path.parent.exists()
    assert not (tmp_path / "exchange").exists()
    assert notice_of(open_desk(lambda plan, folder: report_of())).secret != secret
