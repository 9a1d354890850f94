"""Flower's client process and the daemon talk over a socket; every way of failing has its words."""

import json
import shutil
import socket
import tempfile
import threading
from pathlib import Path

import pytest

from site_client.errors import AdaptationRefused
from site_client.federation.desk import Desk, ask_desk


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


def test_a_daemon_that_ends_in_between_is_named(plan_of) -> None:
    folder = Path(tempfile.mkdtemp())
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "desk.sock"))
        server.listen()
        threading.Thread(target=lambda: server.accept()[0].close(), daemon=True).start()
        with pytest.raises(AdaptationRefused, match="ended"):
            ask_desk(folder / "desk.sock", folder, plan_of())
    shutil.rmtree(folder)


@pytest.mark.parametrize("line", [b"no json\n", b'{"plan": {}}\n', b"[]\n", b""])
def test_nonsense_is_refused(open_desk, report_of, line) -> None:
    desk = open_desk(lambda plan, folder: report_of())
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(desk.path))
        connection.sendall(line)
        connection.shutdown(socket.SHUT_WR)
        assert b'"refused"' in connection.recv(1 << 16)


@pytest.mark.parametrize("name", ["..", ".", "", "/etc", "../other", "a/b"])
def test_a_question_cannot_name_a_folder_outside(open_desk, plan_of, report_of, name) -> None:
    desk = open_desk(lambda plan, folder: report_of())
    question = {"exchange": name, "plan": plan_of().model_dump(mode="json")}
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(desk.path))
        connection.sendall(json.dumps(question).encode() + b"\n")
        assert b"expected a folder in" in connection.recv(1 << 16)


def test_the_socket_has_a_short_path_and_is_this_users_alone(
    open_desk, report_of, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / ("long" * 20)))
    desk = open_desk(lambda plan, folder: report_of())
    assert len(str(desk.path)) < 100
    assert desk.path.parent.stat().st_mode & 0o077 == 0
    assert (tmp_path / "exchange").stat().st_mode & 0o077 == 0
    desk.close()
    assert not desk.path.parent.exists()
    assert not (tmp_path / "exchange").exists()
