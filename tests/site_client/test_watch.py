"""From files that grow, move and lie to accepted frames."""

import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile

from model_library.errors import ChildRefused
from model_library.processes.child import Child
from site_client.candidate import Candidate, Look, decide, is_wanted
from site_client.children import reading_child
from site_client.frames import Stamp
from site_client.watch import Watcher, _stamp


@pytest.fixture
def watch(site, inspector: Child) -> Iterator[Watcher]:
    watcher = Watcher(
        site.settings,
        site.memory,
        inspector,
        accepted=lambda: None,
        wrote=lambda: None,
        own_folders=(site.folder, site.settings.results),
    )
    stop = threading.Event()
    thread = threading.Thread(target=watcher.run, args=(stop,))
    thread.start()
    yield watcher
    stop.set()
    thread.join(timeout=10)
    assert not thread.is_alive()


def reasons(site) -> dict[str, str]:
    return {str(frame.path): frame.reason for frame in site.ledger.frames() if frame.reason}


@pytest.mark.parametrize(
    ("candidate", "look"),
    [
        (Candidate(Stamp(1, 1), changed_at=9.5), Look.WAIT),
        (Candidate(Stamp(1, 1), changed_at=8.0), Look.LOOK),
        (Candidate(Stamp(1, 1), changed_at=9.9, closed=True), Look.LOOK),
        (Candidate(Stamp(1, 1), changed_at=8.0, closed=True, looked=True), Look.WAIT),
        (Candidate(Stamp(1, 1), changed_at=0.0, looked=True), Look.LAST_LOOK),
    ],
)
def test_a_file_is_read_when_closed_or_settled_and_given_up_at_the_deadline(candidate, look) -> None:
    assert decide(candidate, 10.0, settle_s=1.0, incomplete_s=5.0) is look


@pytest.mark.parametrize(
    "name", [".a.tif", "~a.tif", "a.tif.part", "a.tif.tmp", "a.tif~", "a.png", "a.TIF.swp"]
)
def test_temporary_and_foreign_names_are_ignored(name: str) -> None:
    assert not is_wanted(name, ("*.tif", "*.TIF"))


def test_what_lies_there_already_is_taken_and_not_read_again(site, inspector, frame_of, until) -> None:
    for number in (1, 2):
        site.acquire(number)
    watcher = Watcher(
        site.settings,
        site.memory,
        inspector,
        accepted=lambda: None,
        wrote=lambda: None,
        own_folders=(),
    )
    watcher.scan()
    watcher.look(time.monotonic() + 1, threading.Event())
    assert site.ledger.counts().acquired == 2
    inspector.stop()
    again = Watcher(
        site.settings,
        site.memory,
        inspector,
        accepted=lambda: None,
        wrote=lambda: None,
        own_folders=(),
    )
    again.scan()
    again.look(time.monotonic() + 1, threading.Event())
    assert inspector.pid is None


def test_a_growing_file_is_taken_once_and_whole(site, watch, frame_of, until) -> None:
    content = frame_of(1, (400, 400))
    path = site.acquire(0, b"")
    with path.open("wb", buffering=0) as file:
        for start in range(0, len(content), 80_000):
            file.write(content[start : start + 80_000])
            assert site.ledger.counts().waiting == 0
            time.sleep(0.1)
    until(lambda: site.ledger.counts().waiting == 1)
    assert site.ledger.counts().acquired == 1
    assert site.ledger.frame(1).stamp.size == len(content)


def test_a_rename_into_place_and_a_subfolder_are_seen(site, watch, frame_of, until) -> None:
    until(lambda: site.settings.acquisitions.exists())
    temporary = site.settings.acquisitions / "scan.tif.part"
    temporary.write_bytes(frame_of(1))
    temporary.rename(site.settings.acquisitions / "scan.tif")
    session = site.settings.acquisitions / "session"
    session.mkdir()
    (session / "b.tif").write_bytes(frame_of(2))
    until(lambda: site.ledger.counts().waiting == 2)
    assert {str(frame.path) for frame in site.ledger.frames()} == {"scan.tif", "session/b.tif"}


def test_what_is_no_frame_is_set_aside_with_a_reason_and_the_rest_goes_on(
    site, watch, frame_of, until
) -> None:
    site.acquire(1, frame_of(1)[:-100])
    site.acquire(2, b"Dear microscope, this is a letter and no image.")
    site.acquire(3, b"")
    printed = site.settings.acquisitions / "frame-004.tif"
    inks = np.random.default_rng(4).integers(256, size=(32, 32, 4), dtype=np.uint8)
    tifffile.imwrite(printed, inks, photometric="separated")
    site.acquire(5)
    until(lambda: site.ledger.counts().acquired == 5)
    found = reasons(site)
    assert found["frame-001.tif"].startswith("truncated: frame-001.tif")
    assert found["frame-002.tif"].startswith("not an image: frame-002.tif")
    assert found["frame-003.tif"].startswith("empty: frame-003.tif")
    assert found["frame-004.tif"].startswith("unsupported: frame-004.tif")
    assert site.ledger.frame(1).path.name == "frame-005.tif"


def test_a_truncated_file_that_is_completed_later_becomes_a_frame(site, watch, frame_of, until) -> None:
    content = frame_of(1)
    path = site.acquire(1, content[:-100])
    until(lambda: site.ledger.counts().set_aside == 1)
    with path.open("ab") as file:
        file.write(content[-100:])
    until(lambda: site.ledger.counts().waiting == 1)
    assert site.ledger.counts().acquired == 1


def test_a_reader_that_hangs_costs_the_file_and_not_the_watch(site, tmp_path, frame_of) -> None:
    sleeper = Child(["sh", "-c", "echo '{\"ready\": true}'; sleep 60"], log=tmp_path / "log")
    settings = site.settings.model_copy(update={"inspect_deadline_s": 0.2})
    watcher = Watcher(
        settings, site.memory, sleeper, accepted=lambda: None, wrote=lambda: None, own_folders=()
    )
    site.acquire(1)
    watcher.scan()
    watcher.look(time.monotonic() + 1, threading.Event())
    sleeper.stop()
    assert "no answer within 0.2 s" in reasons(site)["frame-001.tif"]


class Locked:
    """An inspector to whom another program's lock, or the file's owner, denies the file, until it is free."""

    def __init__(self, inspector: Child) -> None:
        self.inspector, self.free = inspector, False

    def ask(self, question: dict[str, object], deadline_s: float) -> dict[str, object]:
        if self.free:
            return self.inspector.ask(question, deadline_s)
        raise ChildRefused("PermissionError", "[Errno 13] Permission denied")


def test_a_file_that_may_not_be_read_is_told_once_and_taken_as_soon_as_it_may(site, inspector) -> None:
    locked = Locked(inspector)
    watcher = Watcher(
        site.settings, site.memory, locked, accepted=lambda: None, wrote=lambda: None, own_folders=()
    )
    site.acquire(1)
    for _ in range(2):
        watcher.scan()
        watcher.look(time.monotonic() + 1, threading.Event())
    assert reasons(site) == {"frame-001.tif": "unreadable: [Errno 13] Permission denied"}
    assert [event.kind for event in site.journal.events()] == ["set-aside"]
    locked.free = True
    watcher.scan()
    watcher.look(time.monotonic() + 1, threading.Event())
    assert (site.ledger.counts().waiting, reasons(site)) == (1, {})


def test_a_folder_that_goes_and_comes_back_is_watched_again(site, watch, frame_of, until) -> None:
    """As a network share that is unmounted and mounted again: another folder under the same name."""
    root = site.settings.acquisitions
    site.acquire(1)
    until(lambda: site.ledger.counts().acquired == 1)
    away = root.with_name("away")
    root.rename(away)
    until(lambda: "acquisitions" in site.journal.alarms())
    root.mkdir()
    until(lambda: "acquisitions" not in site.journal.alarms())
    site.acquire(2)
    until(lambda: site.ledger.counts().acquired == 2)
    assert site.ledger.counts().set_aside == 0


def test_a_deleted_file_waits_no_longer_and_a_duplicate_is_a_frame_of_its_own(site, watch, until) -> None:
    path = site.acquire(1)
    until(lambda: site.ledger.counts().acquired == 1)
    copy = path.with_name("copy.tif")
    copy.write_bytes(path.read_bytes())
    until(lambda: site.ledger.counts().acquired == 2)
    moved = path.with_name("moved.tif")
    path.rename(moved)
    until(lambda: {str(frame.path) for frame in site.ledger.frames()} == {"moved.tif", "copy.tif"})
    assert site.ledger.counts().acquired == 2


def test_a_clock_that_is_set_back_hides_no_file(site, watch, until) -> None:
    site.acquire(1)
    until(lambda: site.ledger.counts().acquired == 1)
    path = site.acquire(2)
    os.utime(path, (0, 0))
    until(lambda: site.ledger.counts().acquired == 2)


class ReadingWhile:
    """Reads as the inspector does; while it reads the first file, something happens to the folder."""

    def __init__(self, site, inspector: Child, happens) -> None:
        self._site, self._inspector, self._happens = site, inspector, happens
        self.acquired_before: list[int] = []

    def ask(self, question, deadline_s: float):
        self.acquired_before.append(self._site.ledger.counts().acquired)
        answer = self._inspector.ask(question, deadline_s)
        if len(self.acquired_before) == 1:
            self._happens()
        return answer


def looked_at_once(site, inspector, watched: list[Path], happens) -> tuple[ReadingWhile, list[int]]:
    """Look once at what is there; also give how many frames were accepted each time that this was told."""
    told: list[int] = []
    reading = ReadingWhile(site, inspector, happens)
    watcher = Watcher(
        site.settings,
        site.memory,
        reading,
        accepted=lambda: told.append(site.ledger.counts().acquired),
        wrote=lambda: None,
        own_folders=(),
    )
    watched.append(watcher)
    watcher.scan()
    watcher.look(time.monotonic() + 10, threading.Event())
    return reading, told


def test_a_file_closed_while_another_is_read_is_read_before_the_ledger_waits_for_the_disk(
    site, inspector
) -> None:
    site.acquire(1)
    watched: list[Watcher] = []
    reading, told = looked_at_once(
        site, inspector, watched, lambda: watched[0]._events.put(("closed", site.acquire(2)))
    )
    assert reading.acquired_before == [0, 0]
    assert told == [2]


def test_many_files_are_not_held_back_until_all_of_them_were_read(site, inspector) -> None:
    for number in range(40):
        site.acquire(number)
    _, told = looked_at_once(site, inspector, [], lambda: None)
    assert told == [32, 40]


def test_a_file_that_is_overwritten_after_it_was_read_is_read_again(site, inspector) -> None:
    path = site.acquire(1)
    watched: list[Watcher] = []
    _, told = looked_at_once(site, inspector, watched, lambda: site.acquire(1, path.read_bytes()[:-1]))
    assert told == []
    assert site.ledger.counts().acquired == 0
    path = site.acquire(1)
    watched[0].look(time.monotonic() + 10, threading.Event())
    watched[0].look(time.monotonic() + 20, threading.Event())
    assert told == [1]


def test_a_series_whose_file_stays_open_is_seen_to_grow_long_before_the_next_scan(
    site, inspector, until
) -> None:
    settings = site.settings.model_copy(update={"rescan_s": 3600.0})
    wrote: list[None] = []
    watcher = Watcher(
        settings,
        site.memory,
        inspector,
        accepted=lambda: None,
        wrote=lambda: wrote.append(None),
        own_folders=(),
    )
    stop = threading.Event()
    thread = threading.Thread(target=watcher.run, args=(stop,))
    thread.start()
    try:
        until(lambda: settings.acquisitions.is_dir())
        planes = np.random.default_rng(0).poisson(200, (2, 64, 64)).astype(np.uint16)
        with tifffile.TiffWriter(settings.acquisitions / "series.tif") as series:
            series.write(planes[0], contiguous=False)
            series._fh.flush()
            until(lambda: site.ledger.counts().acquired == 1)
            told = len(wrote)
            series.write(planes[1], contiguous=False)
            series._fh.flush()
            until(lambda: len(wrote) > told)
            most = "SELECT max(planes) AS planes FROM frames"
            until(lambda: site.memory.database.row(most)["planes"] == 2)
    finally:
        stop.set()
        thread.join(30)


def test_a_file_that_is_gone_after_it_was_read_is_no_frame(site, inspector) -> None:
    path = site.acquire(1)
    watched: list[Watcher] = []
    _, told = looked_at_once(site, inspector, watched, path.unlink)
    watched[0].look(time.monotonic() + 20, threading.Event())
    assert told == []
    assert watched[0].is_quiet()


MANY = 100_000 if os.environ.get("SYNOPTIC_LONG") == "1" else 2000


@pytest.mark.timeout(900 if MANY > 2000 else 60)
def test_a_restart_beside_many_known_files_reads_none_of_them_and_sees_the_next(
    site, inspector, until
) -> None:
    """`SYNOPTIC_LONG=1` takes 100,000 files."""
    site.settings.acquisitions.mkdir()
    with site.memory.database.writing():
        for number in range(MANY):
            path = site.settings.acquisitions / f"old-{number}.tif"
            path.touch()
            site.ledger.set_file_aside(path.name, _stamp(path), "empty", now=0.0)
    path = site.acquire(1)
    watcher = Watcher(
        site.settings, site.memory, inspector, accepted=lambda: None, wrote=lambda: None, own_folders=()
    )
    watcher.scan()
    assert list(watcher._candidates) == [path]
    stop = threading.Event()
    thread = threading.Thread(target=watcher.run, args=(stop,))
    thread.start()
    try:
        until(lambda: site.ledger.next_waiting("in-order") is not None, 120)
        renamed = path.with_name("next.part")
        renamed.write_bytes(path.read_bytes()[:-1] + b"x")
        renamed.rename(path.with_name("next.tif"))
        until(lambda: site.ledger.knows("next.tif", _stamp(path.with_name("next.tif"))), 120)
    finally:
        stop.set()
        thread.join(30)
    assert {str(frame.path) for frame in site.ledger.frames() if frame.sha256} == {path.name, "next.tif"}


@pytest.mark.skipif(sys.platform != "linux", reason="faults are told by Linux")
def test_the_inspector_keeps_the_memory_of_a_frame_for_the_next(tmp_path: Path) -> None:
    path = tmp_path / "frame.tif"
    tifffile.imwrite(path, np.random.default_rng(0).poisson(200, (1024, 1024)).astype(np.uint16))
    child = reading_child("model_library.images.inspector", "10", log=tmp_path / "inspector.log")

    def faults() -> int:
        return int(Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[7])

    try:
        for _ in range(3):
            child.ask({"path": str(path), "last_look": False}, 60)
        before = faults()
        for _ in range(4):
            assert child.ask({"path": str(path), "last_look": False}, 60)["complete"]
        # The pixels alone are 512 pages.
        assert faults() - before < 4 * 100
    finally:
        child.stop()
