"""Accepted frames: each exactly once, none forgotten, whatever kills the process."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from model_library.wire.methods import ClassicalRef
from site_client.database import Database
from site_client.frames import Finished, FrameState, Header, Stamp
from site_client.ledger import Ledger

HEADER = Header(sha256="a" * 64, pixels=12, pixel_size_nm=4.0, field="field-1")
OTHER = Header(sha256="b" * 64, pixels=12, pixel_size_nm=4.0, field="field-1")
METHOD = ClassicalRef(id="gaussian", parameters={"sigma_px": 1.0})


@pytest.fixture
def ledger(tmp_path: Path):
    database = Database(tmp_path / "ledger.sqlite")
    yield Ledger(database)
    database.close()


def accept(ledger: Ledger, path: str, stamp: Stamp, header: Header, *, there: bool = True) -> int | None:
    return ledger.accept(path, stamp, header, now=0.0, exists=lambda _: there)


def test_frames_are_numbered_from_one_in_order_of_arrival(ledger: Ledger) -> None:
    assert [accept(ledger, f"{n}.tif", Stamp(1, n), Header(str(n), 4, None, None)) for n in (7, 3, 5)] == [
        1,
        2,
        3,
    ]
    assert [str(frame.path) for frame in ledger.frames()] == ["7.tif", "3.tif", "5.tif"]


def test_a_touched_file_is_the_same_frame(ledger: Ledger) -> None:
    assert accept(ledger, "a.tif", Stamp(1, 1), HEADER) == 1
    assert not ledger.knows("a.tif", Stamp(1, 2))
    assert accept(ledger, "a.tif", Stamp(1, 2), HEADER) is None
    assert ledger.knows("a.tif", Stamp(1, 2))
    assert ledger.counts().acquired == 1


def test_a_renamed_file_is_the_same_frame_and_a_second_equal_acquisition_is_not(ledger: Ledger) -> None:
    accept(ledger, "a.tif", Stamp(1, 1), HEADER)
    assert accept(ledger, "b.tif", Stamp(1, 1), HEADER, there=False) is None
    assert accept(ledger, "c.tif", Stamp(1, 9), HEADER, there=False) == 2
    assert [str(frame.path) for frame in ledger.frames()] == ["b.tif", "c.tif"]


def test_a_file_rewritten_while_it_waits_keeps_its_place(ledger: Ledger) -> None:
    accept(ledger, "a.tif", Stamp(1, 1), HEADER)
    assert accept(ledger, "a.tif", Stamp(2, 2), OTHER) == 1
    assert ledger.frame(1).sha256 == OTHER.sha256


def test_a_file_rewritten_after_its_reconstruction_is_a_new_frame(ledger: Ledger) -> None:
    accept(ledger, "a.tif", Stamp(1, 1), HEADER)
    assert ledger.finish(ledger.frame(1), Finished(METHOD, "r-1", "a.ome.tif", 0.5), now=1.0)
    assert accept(ledger, "a.tif", Stamp(2, 2), OTHER) == 2
    assert ledger.counts().reconstructed == ledger.counts().waiting == 1


def test_a_result_of_a_file_that_changed_meanwhile_does_not_count(ledger: Ledger) -> None:
    accept(ledger, "a.tif", Stamp(1, 1), HEADER)
    before = ledger.frame(1)
    accept(ledger, "a.tif", Stamp(2, 2), OTHER)
    assert not ledger.finish(before, Finished(METHOD, "r-1", "a.ome.tif", 0.5), now=1.0)
    assert ledger.frame(1).state is FrameState.WAITING


def test_a_file_set_aside_is_taken_up_when_it_changes(ledger: Ledger) -> None:
    ledger.set_file_aside("a.tif", Stamp(1, 1), "truncated: ...", now=0.0)
    assert ledger.knows("a.tif", Stamp(1, 1))
    assert accept(ledger, "a.tif", Stamp(2, 2), HEADER) == 1
    assert ledger.counts().model_dump() == {
        "acquired": 1,
        "reconstructed": 0,
        "waiting": 1,
        "set_aside": 0,
        "skipped": 0,
        "returned": 0,
    }


def test_a_frame_whose_file_was_missing_waits_again_when_it_is_back(ledger: Ledger) -> None:
    accept(ledger, "a.tif", Stamp(1, 1), HEADER)
    ledger.set_aside(ledger.frame(1), "missing: no such file", now=0.0)
    assert not ledger.knows("a.tif", Stamp(1, 1))
    assert "a.tif" not in ledger.stamps()
    assert accept(ledger, "a.tif", Stamp(1, 1), HEADER) == 1
    assert ledger.frame(1).state is FrameState.WAITING


def test_the_next_frame_is_the_oldest_or_the_newest(ledger: Ledger) -> None:
    for n in (1, 2, 3):
        accept(ledger, f"{n}.tif", Stamp(1, n), Header(str(n), 4, None, None))
    assert ledger.next_waiting("in-order").sequence == 1
    assert ledger.next_waiting("live").sequence == 3
    assert ledger.backlog_max() == 3


def test_rates_come_from_pixels_worker_time_and_the_files_own_times(ledger: Ledger) -> None:
    for n in (0, 1, 2):
        accept(ledger, f"{n}.tif", Stamp(1, n * 500_000_000), Header(str(n), 1_000_000, None, None))
    # One came every half second.
    assert ledger.acquisition_mpix_per_s() == pytest.approx(2.0)
    assert ledger.throughput_mpix_per_s() is None
    ledger.finish(ledger.frame(1), Finished(METHOD, "r-1", "x", 0.25), now=1.0)
    assert ledger.throughput_mpix_per_s() == pytest.approx(4.0)


_WRITER = """
import sys
from pathlib import Path
from model_library.wire.methods import ClassicalRef
from site_client.database import Database
from site_client.frames import Finished, Header, Stamp
from site_client.ledger import Ledger

ledger = Ledger(Database(Path(sys.argv[1])))
for n in range(400):
    if ledger.knows(f"{n}.tif", Stamp(1, n)):
        continue
    header = Header(f"{n}", 4, None, None)
    sequence = ledger.accept(f"{n}.tif", Stamp(1, n), header, now=0.0, exists=lambda _: True)
    print("accepted", sequence, n, flush=True)
    if sequence % 2:
        ledger.finish(ledger.frame(sequence), Finished(ClassicalRef(id="x"), "r", f"{n}", 0.1), now=0.0)
        print("finished", sequence, n, flush=True)
"""


def test_nothing_acknowledged_is_lost_or_doubled_by_kill_9(tmp_path: Path) -> None:
    random_numbers = random.Random(4)
    acknowledged: set[str] = set()
    for _ in range(6):
        process = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(tmp_path / "ledger.sqlite")],
            stdout=subprocess.PIPE,
            text=True,
        )
        wanted = random_numbers.randint(3, 60)
        lines = [line for line, _ in zip(process.stdout, range(wanted), strict=False)]
        os.kill(process.pid, signal.SIGKILL)
        lines += process.communicate()[0].splitlines()
        acknowledged |= {line.strip() for line in lines if line.endswith("\n") or line}
    database = Database(tmp_path / "ledger.sqlite")
    frames = Ledger(database).frames()
    database.close()
    kept = {f"accepted {frame.sequence} {frame.path.stem}" for frame in frames}
    kept |= {
        f"finished {frame.sequence} {frame.path.stem}"
        for frame in frames
        if frame.state is FrameState.RECONSTRUCTED
    }
    assert acknowledged - kept == set()
    assert [frame.sequence for frame in frames] == list(range(1, len(frames) + 1))
    assert len({frame.path for frame in frames}) == len(frames)
