"""Processes that want the same work done take turns; one that dies or dawdles holds nobody up."""

import subprocess
import sys
from pathlib import Path

from model_library.processes.turns import turn

HOLDER = (
    "import sys, time, pathlib\nfrom model_library.processes.turns import turn\n"
    "with turn(pathlib.Path(sys.argv[1]), 30):\n"
    "    print('held', flush=True)\n"
    "    sys.stdin.readline()\n"
    "    pathlib.Path(sys.argv[1]).with_suffix('.done').write_text('done')\n"
)


def holder(lock: Path) -> "subprocess.Popen[bytes]":
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    return process


def test_the_second_finds_what_the_first_has_done(tmp_path: Path) -> None:
    lock = tmp_path / "turns" / "work"
    with holder(lock) as first:
        first.stdin.write(b"\n")
        first.stdin.flush()
        with turn(lock, 60):
            assert lock.with_suffix(".done").read_text() == "done"


def test_one_that_is_killed_lets_go(tmp_path: Path) -> None:
    lock = tmp_path / "work"
    with holder(lock) as first:
        first.kill()
        with turn(lock, 60):
            assert not lock.with_suffix(".done").exists()


def test_after_the_wait_the_work_is_begun_all_the_same(tmp_path: Path) -> None:
    lock = tmp_path / "work"
    with holder(lock) as first:
        with turn(lock, 0.1):
            assert first.poll() is None
        first.kill()
