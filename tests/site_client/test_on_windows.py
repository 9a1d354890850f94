"""What a site is on Windows, as far as that shows without one: nothing of POSIX is asked for."""

import json
import signal
import subprocess
import sys
from pathlib import Path, PureWindowsPath

from site_client.watch import told_path

AS_ON_WINDOWS = [sys.executable, "-W", "ignore", str(Path(__file__).with_name("as_on_windows.py")), "site"]


def run(*arguments: str) -> str:
    return subprocess.run(
        [*AS_ON_WINDOWS, *arguments], capture_output=True, text=True, timeout=120, check=True
    ).stdout


def test_a_daemon_works_and_is_told_of_without_anything_of_posix(enrolled, coordinator, gaussian, until):
    coordinator.release("r-1", gaussian)
    folder = ("--folder", str(enrolled.folder))
    with subprocess.Popen([*AS_ON_WINDOWS, "run", *folder]) as daemon:
        try:
            enrolled.acquire(1)
            until(lambda: enrolled.ledger.counts().reconstructed == 1, 90)
        finally:
            daemon.send_signal(signal.SIGINT)
            daemon.wait(30)
    assert daemon.returncode == 0
    assert json.loads(run("status", *folder, "--json"))["frames"]["reconstructed"] == 1
    told = {each["subject"]: each["state"] for each in json.loads(run("doctor", *folder, "--json"))}
    assert set(told.values()) == {"ok"}, told
    run("install-service", *folder)
    definition = enrolled.folder / "synoptic-sem-1.xml"
    assert str(enrolled.folder) in definition.read_text(encoding="utf-8")


def test_names_in_the_ledger_have_slashes_on_every_system():
    assert told_path(PureWindowsPath("monday\\frame.tif")) == "monday/frame.tif"
