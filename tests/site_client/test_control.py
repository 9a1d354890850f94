"""A person pauses, resumes and drains a site; the microscope says when it acquires."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_library.wire.methods import ClassicalRef
from site_client.control import LONGEST_ACQUISITION_S, Control, Controls
from site_client.database import Database
from site_client.journal import Journal
from site_client.memory import LEDGER_FILE
from site_client.status import read_status


class Facts:
    """The journal as `Controls` sees it."""

    def __init__(self) -> None:
        self.facts: dict[str, str] = {}
        self.events: list[str] = []

    def writing(self):
        return nullcontext()

    def fact(self, name):
        return self.facts.get(name)

    def remember(self, name, value):
        self.facts[name] = value

    def note(self, kind, text):
        self.events.append(kind)


def site_command(enrolled, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-c", "from model_library.cli import main; main()", "site"]
    return subprocess.run(
        [*program, *arguments, "--folder", str(enrolled.folder)], capture_output=True, text=True, timeout=60
    )


def test_nothing_is_wanted_at_first():
    assert Controls(Facts(), lambda: 0.0).current() == Control()


def test_a_pause_survives_and_ends_with_resume():
    facts = Facts()
    Controls(facts, lambda: 0.0).pause()
    again = Controls(facts, lambda: 1e9)
    again.started()
    assert again.current().paused
    again.resume()
    assert again.current() == Control()


def test_a_drain_is_forgotten_by_the_next_start():
    controls = Controls(Facts(), lambda: 0.0)
    controls.drain()
    assert controls.current().draining
    controls.started()
    assert not controls.current().draining


@given(for_s=st.floats(1, 1e6), later_s=st.floats(-1e7, 1e7))
def test_an_acquisition_ends_by_itself_and_a_clock_that_was_set_cannot_make_it_eternal(for_s, later_s):
    clock = [1e9]
    controls = Controls(Facts(), lambda: clock[0])
    controls.acquiring(for_s)
    assert controls.current().acquiring_until is not None
    clock[0] += later_s
    until = controls.current().acquiring_until
    if later_s >= min(for_s, LONGEST_ACQUISITION_S):
        assert until is None
    assert until is None or until - clock[0] <= LONGEST_ACQUISITION_S


def test_a_microscope_may_tell_often_and_is_noted_once():
    facts = Facts()
    clock = [0.0]
    controls = Controls(facts, lambda: clock[0])
    for second in range(100):
        clock[0] = float(second)
        controls.acquiring(10)
    controls.idle()
    assert facts.events == ["acquiring", "idle"]


@pytest.mark.parametrize("wrong", ["{", '{"paused": "perhaps"}', '{"colour": 1}'])
def test_what_another_version_wrote_is_no_reason_to_stop(wrong):
    facts = Facts()
    facts.remember("control", wrong)
    assert Controls(facts, lambda: 0.0).current() == Control()


def test_a_paused_site_takes_note_and_goes_on_when_told(enrolled, coordinator, start_daemon, gaussian, until):
    assert site_command(enrolled, "pause").returncode == 0
    coordinator.release("r-1", gaussian)
    start_daemon()
    for number in range(1, 4):
        enrolled.acquire(number)
    until(lambda: enrolled.ledger.counts().waiting == 3)
    until(lambda: enrolled.journal.in_service() is not None)
    assert (enrolled.ledger.counts().reconstructed, coordinator.uploads) == (0, [])
    assert read_status(enrolled.folder).control.paused
    assert "paused" in site_command(enrolled, "status").stdout
    assert site_command(enrolled, "resume").returncode == 0
    until(lambda: enrolled.ledger.counts().reconstructed == 3)
    until(lambda: coordinator.delivered("first_images") == [1, 2, 3])


def test_a_drained_site_has_sent_also_what_came_since_it_last_talked(
    enrolled, coordinator, start_daemon, until
):
    coordinator.release("r-1", ClassicalRef(id="gaussian", parameters={"sigma_px": 1.0}))
    path = enrolled.folder / "settings.toml"
    path.write_text(path.read_text().replace("heartbeat_s = 0.1", "heartbeat_s = 600.0"))
    start_daemon()
    until(lambda: enrolled.journal.in_service() is not None)
    for number in (1, 2):
        enrolled.acquire(number)
    until(lambda: enrolled.ledger.counts().acquired == 2)
    assert site_command(enrolled, "drain", "--wait-s", "40").returncode == 0
    assert coordinator.delivered("first_images") == [1, 2]
    assert coordinator.delivered("benchmark_images") == [2]


def test_a_drained_site_has_done_and_sent_everything(enrolled, coordinator, start_daemon, until):
    coordinator.release("r-1", ClassicalRef(id="gaussian", parameters={"sigma_px": 1.0}))
    for number in range(1, 4):
        enrolled.acquire(number)
    process = start_daemon()
    until(lambda: read_status(enrolled.folder).running)
    until(lambda: enrolled.ledger.counts().acquired == 3)
    drained = site_command(enrolled, "drain", "--wait-s", "40")
    assert (drained.returncode, process.wait(timeout=10)) == (0, 0)
    assert enrolled.ledger.counts().reconstructed == 3
    assert coordinator.delivered("benchmark_images") == [2]
    assert "No daemon runs" in site_command(enrolled, "drain").stdout


def test_a_drain_that_cannot_end_says_what_to_do(enrolled, start_daemon, coordinator, until):
    coordinator.down = True  # no method ever comes
    enrolled.acquire(1)
    start_daemon()
    until(lambda: enrolled.ledger.counts().waiting == 1)
    refused = site_command(enrolled, "drain", "--wait-s", "1")
    assert refused.returncode == 1
    assert "synoptic site resume" in refused.stderr


def test_the_command_for_the_microscopes_software(enrolled, start_daemon, until):
    start_daemon()
    until(lambda: read_status(enrolled.folder).running)
    assert site_command(enrolled, "acquiring", "on", "--for-s", "60").returncode == 0
    assert read_status(enrolled.folder).control.acquiring_until is not None
    assert site_command(enrolled, "acquiring", "off").returncode == 0
    assert read_status(enrolled.folder).control.acquiring_until is None


def test_the_coordinator_is_told_that_the_microscope_acquires_and_that_the_site_is_paused(
    enrolled, coordinator, start_daemon, until
):
    def told(field):
        return bool(coordinator.heartbeats) and coordinator.heartbeats[-1][field]

    start_daemon()
    until(lambda: coordinator.heartbeats)
    assert not told("acquiring")
    assert not told("paused")
    assert site_command(enrolled, "acquiring", "on", "--for-s", "60").returncode == 0
    until(lambda: told("acquiring"))
    assert site_command(enrolled, "pause").returncode == 0
    until(lambda: told("paused"))


def test_a_pause_is_not_lost_while_the_microscope_says_that_it_acquires(enrolled):
    again = Database(enrolled.folder / LEDGER_FILE)
    microscope = Controls(Journal(again, time.time), time.time)
    person = enrolled.memory.controls
    with ThreadPoolExecutor(1) as beside:
        saying = beside.submit(lambda: [microscope.acquiring(60.0 + each) for each in range(100)])
        while not saying.done():
            person.pause()
            assert person.current().paused
            person.resume()
            assert not person.current().paused
    again.close()
    saying.result()
