"""The daemon as a process: acquires, sends, swaps, survives, and ends when asked."""

import json
import os
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from model_library.images.readers import read_provenance
from model_library.wire.methods import ClassicalRef
from site_client.errors import AlreadyRunning
from site_client.lock import FolderLock, running_daemon
from site_client.status import read_status

STATUS = [sys.executable, "-c", "from model_library.cli import main; main()", "site", "status"]


def results(site) -> dict[int, dict]:
    found = {}
    for path in site.settings.results.glob("**/*.ome.tif"):
        provenance = read_provenance(path)
        assert provenance["source"]["sequence"] not in found
        found[provenance["source"]["sequence"]] = provenance
    return found


def agree(site) -> None:
    """Every result file is the one that the ledger tells of, made by the method that it names."""
    found = results(site)
    done = {frame.sequence: frame for frame in site.ledger.frames() if frame.result}
    assert found.keys() == done.keys()
    for sequence, provenance in found.items():
        assert provenance["method"]["id"] == done[sequence].method.id
        assert provenance["source"]["sha256"] == done[sequence].sha256
        assert provenance["release_id"] == done[sequence].release_id


def test_the_whole_way_of_a_site(enrolled, coordinator, start_daemon, gaussian, until) -> None:
    process = start_daemon()
    for number in range(1, 5):
        enrolled.acquire(number)
    enrolled.acquire(5, b"no image")
    until(lambda: coordinator.delivered("first_images") == [1, 2, 3])
    until(lambda: enrolled.ledger.counts().set_aside == 1)
    assert enrolled.ledger.counts().waiting == 4
    coordinator.release("r-1", gaussian)
    until(lambda: enrolled.ledger.counts().reconstructed == 4, 60)
    coordinator.release("r-2", ClassicalRef(id="median", parameters={"size_px": 3.0}))
    until(lambda: enrolled.journal.in_service().release_id == "r-2")
    coordinator.down = True  # the microscope goes on, and so does the site
    for number in range(6, 10):
        enrolled.acquire(number)
    until(lambda: enrolled.ledger.counts().reconstructed == 8)
    coordinator.down = False
    until(lambda: coordinator.delivered("benchmark_images") == [2, 4, 6, 8], 60)
    status = read_status(enrolled.folder)
    assert (status.running, status.pid) == (True, process.pid)
    assert [item.path for item in status.set_aside] == ["frame-005.tif"]
    assert [release.release_id for release in status.releases] == ["r-1", "r-2"]
    assert status.throughput_mpix_per_s > 0
    assert status.backlog_max >= 4
    # The program that writes the frames is never interrupted by whoever wakes because of them.
    assert os.sched_getscheduler(process.pid) == os.SCHED_BATCH
    mapped = Path(f"/proc/{process.pid}/maps").read_text()
    assert "/cryptography/" in mapped
    assert "/torch/" not in mapped
    assert "/numpy/" not in mapped
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=10) == 0
    assert running_daemon(enrolled.folder) is None
    agree(enrolled)
    assert {frame.method.id for frame in enrolled.ledger.frames() if frame.result} == {"gaussian", "median"}
    assert coordinator.heartbeats[-1]["software"]["synoptic"] == version("synoptic")
    told = coordinator.heartbeats[-1]["frames"]
    assert told["acquired"] == told["reconstructed"] + told["waiting"] + told["set_aside"]


def test_kill_9_in_the_middle_of_reconstruction_loses_and_doubles_nothing(
    enrolled, coordinator, start_daemon, until, frame_of
) -> None:
    coordinator.release("r-1", ClassicalRef(id="nlm"))  # slow, so that the kill strikes at work
    for number in range(1, 13):
        enrolled.acquire(number, frame_of(number, (128, 128)))
    for wanted in (3, 7):
        process = start_daemon()
        until(lambda wanted=wanted: enrolled.ledger.counts().reconstructed >= wanted, 60)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert running_daemon(enrolled.folder) is None
    process = start_daemon()
    until(lambda: enrolled.ledger.counts().reconstructed == 12, 60)
    until(lambda: coordinator.delivered("benchmark_images") == [2, 4, 6, 8, 10, 12])
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=10) == 0
    assert enrolled.ledger.counts().acquired == 12
    assert enrolled.ledger.counts().set_aside == 0
    agree(enrolled)
    assert len(results(enrolled)) == 12


def test_one_daemon_per_folder(enrolled, start_daemon) -> None:
    lock = FolderLock(enrolled.folder)
    lock.acquire()
    assert running_daemon(enrolled.folder) == os.getpid()
    with pytest.raises(AlreadyRunning):
        FolderLock(enrolled.folder).acquire()
    assert start_daemon().wait(timeout=30) == 1
    lock.release()


def test_the_daemon_imports_neither_torch_nor_numpy() -> None:
    program = (
        "import sys, site_client.daemon, site_client.cli, site_client.status;"
        "print([m for m in ('torch', 'numpy', 'tifffile', 'scipy') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_a_worker_loads_what_its_method_needs_when_it_needs_it() -> None:
    program = (
        "import sys, site_client.worker;"
        "print([m for m in ('torch', 'scipy', 'openvino', 'onnxruntime', 'skimage') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_status_of_a_folder_that_is_none_is_refused_with_what_to_do(tmp_path) -> None:
    command = [
        sys.executable,
        "-c",
        "from model_library.cli import main; main()",
        "site",
        "status",
        "--folder",
    ]
    found = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True, check=False)
    assert found.returncode == 1
    assert "synoptic site enrol" in found.stderr


def test_status_prints_json_that_a_program_can_read(enrolled) -> None:
    enrolled.acquire(1)
    found = subprocess.run(
        [*STATUS, "--json", "--folder", str(enrolled.folder)], capture_output=True, text=True, check=True
    )
    status = json.loads(found.stdout)
    assert status["running"] is False
    assert status["federation"]["state"] == "apart"
    assert status["bytes_out"] == {"first_images": 0, "benchmark_images": 0, "updates": 0, "control": 0}
