"""The daemon with Flower's real programs: there while it is invited, gone as soon as it is not."""

import signal
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from simulations.processes import command
from site_client.status import read_status


def is_flowers(pid: int) -> bool:
    return any(name in command(pid) for name in ("flower-super", "site_client.trainer"))


def flowers(daemon: subprocess.Popen[bytes]) -> list[int]:
    """Children of a daemon that belong to Flower, or train for it."""
    children = Path(f"/proc/{daemon.pid}/task").glob("*/children")
    return [pid for file in children for pid in map(int, file.read_text().split()) if is_flowers(pid)]


def are_gone(pids: Iterable[int]) -> bool:
    return not any(is_flowers(pid) for pid in pids)


@pytest.fixture
def invited(enrolled, coordinator, start_daemon, entities, invitation_of, until):
    coordinator.trust(entities)
    enrolled.acquire(1)
    process = start_daemon()
    until(lambda: enrolled.ledger.counts().acquired == 1, 60)
    assert flowers(process) == []
    coordinator.orders["invitation"] = invitation_of().model_dump(mode="json")
    until(lambda: len(flowers(process)) == 3, 60)
    until(lambda: read_status(enrolled.folder).federation.state == "taking_part", 30)
    return process


def test_a_daemon_that_is_killed_leaves_nothing_of_flower(invited, enrolled, until) -> None:
    started = flowers(invited)
    invited.send_signal(signal.SIGKILL)
    invited.wait()
    until(lambda: are_gone(started), 30)


def test_flower_ends_with_the_invitation_and_with_the_daemon_which_stays_light(
    invited, enrolled, coordinator, invitation_of, until
) -> None:
    assert coordinator.heartbeats[-1]["federates"] is True
    started = flowers(invited)
    coordinator.orders["invitation"] = None
    until(lambda: read_status(enrolled.folder).federation.state == "apart", 30)
    assert are_gone(started)
    coordinator.orders["invitation"] = invitation_of().model_dump(mode="json")
    until(lambda: len(flowers(invited)) == 3, 60)
    started = flowers(invited)
    mapped = Path(f"/proc/{invited.pid}/maps").read_text()
    assert "/torch/" not in mapped
    assert "/numpy/" not in mapped
    assert "/grpc/" not in mapped
    invited.send_signal(signal.SIGTERM)
    assert invited.wait(timeout=20) == 0
    assert are_gone(started)
    assert read_status(enrolled.folder).federation.state == "apart"
