"""The whole loop as real processes, small: interrupted once, then run to its end."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_library.images.frame import Frame
from model_library.images.readers import read_provenance
from model_library.images.writers import encode_acquisition
from model_library.specimens import SpecimenKind, render
from model_library.wire.tasks import Denoise, SuperResolve
from model_library.zoo.registry import Library

pytestmark = pytest.mark.timeout(420)

FRAMES = 15
EVERY_N = 5
SITES = {
    "cells": (SpecimenKind.CELLS, 128, 'task = "denoise"\npixel_size_nm = 4\nframe_px = 128\n'),
    "alloy": (SpecimenKind.PRECIPITATES, 128, "bits = 16\nframe_px = 128\npixel_size_nm = 4\n"),
    "powder": (SpecimenKind.PARTICLES, 192, 'task = "super-resolve-x2"\nframe_px = 96\nbits = 16\n'),
}


@pytest.fixture(scope="module")
def micrographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("micrographs")
    for site, (kind, side, toml) in SITES.items():
        (folder / site).mkdir()
        (folder / site / "site.toml").write_text(toml)
        for number in range(FRAMES):
            intensity = render(kind, (side, side), np.random.default_rng([7, number])).intensity
            pixels = (intensity * 255).astype(np.uint8)
            (folder / site / f"{number:02d}.tif").write_bytes(encode_acquisition(Frame(pixels, 2.0)))
    return folder


def until(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def processes_of(folder: Path) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if str(folder) in command:
                found.append(command)
    return found


@pytest.fixture(scope="module")
def outcome(micrographs: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Interrupt a first run while it acquires, then run it to its end."""
    library = Library()
    for task in (Denoise(), SuperResolve(scale=2)):
        assert len(library.for_task(task)) >= 2, f"the library lacks networks for {task}"
    folder = tmp_path_factory.mktemp("demo")
    workspace = folder / "workspace"
    command = [
        *(sys.executable, "-c", "from model_library.cli import main; main()", "demo"),
        *("--images", str(micrographs), "--workspace", str(workspace), "--frames", str(FRAMES)),
        *("--first-images", "14", "--tuning-steps", "3", "--max-minutes", "3"),
        *("--json", str(folder / "demo.json"), "--report", str(folder / "demo.html")),
    ]
    with (folder / "output.txt").open("wb") as output:
        first = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        until(lambda: any(workspace.glob("microscopes/*.jsonl")), 90)
        first.send_signal(signal.SIGINT)
        interrupted = first.wait(60)
        left = processes_of(workspace)
        again = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, timeout=200, check=False)
    told = (folder / "output.txt").read_text()
    assert again.returncode == 0, told
    return {
        **json.loads((folder / "demo.json").read_text()),
        "interrupted": interrupted,
        "left": [*left, *processes_of(workspace)],
        "workspace": workspace,
        "html": (folder / "demo.html").read_text(),
    }


def test_interrupt_ends_it_cleanly_and_the_same_command_resumes(outcome: dict[str, Any]) -> None:
    assert outcome["interrupted"] == 130
    assert outcome["left"] == []
    assert outcome["resumed"]
    assert outcome["complete"], outcome["waiting"]


def test_every_frame_is_accounted_for(outcome: dict[str, Any]) -> None:
    assert sorted(site["name"] for site in outcome["sites"]) == sorted(SITES)
    for site in outcome["sites"]:
        frames = site["frames"]
        assert frames["acquired"] == FRAMES
        assert frames["acquired"] == frames["reconstructed"] + frames["waiting"] + frames["set_aside"]
        assert (frames["waiting"], frames["set_aside"]) == (0, 0)
        assert frames["returned"] == FRAMES // EVERY_N
        assert site["backlog_max"] > 1


def test_nothing_is_done_twice(outcome: dict[str, Any]) -> None:
    for name in SITES:
        acquired = sorted((outcome["workspace"] / "acquisitions" / name).iterdir())
        results = sorted((outcome["workspace"] / "results" / name).iterdir())
        sources = [read_provenance(result)["source"]["sha256"] for result in results]
        assert len(acquired) == len(results) == len(set(sources)) == FRAMES
        returned = [each["sequence"] for each in outcome["monitoring"] if each["site"] == name]
        assert sorted(returned) == [n for n in range(1, FRAMES + 1) if n % EVERY_N == 0]


def test_every_site_ends_with_a_method_and_a_score(outcome: dict[str, Any]) -> None:
    for site in outcome["sites"]:
        assert site["method"]["first"]
        assert site["method"]["final"]
        assert site["scores"]["metric"] == "psnr"
        assert site["scores"]["final"] > site["scores"]["untreated"]
        assert len(site["scores"]["difference_ci95"]) == 2
        assert all(one["fault"] is None for one in site["audited"])
    assert {each["site"] for each in outcome["selection"]} == set(SITES)
    assert len(outcome["gates"]) == 2 * len(SITES)
    assert all(release["instruments"] for release in outcome["releases"])


def test_only_asked_images_leave_a_site(outcome: dict[str, Any]) -> None:
    for site in outcome["sites"]:
        assert set(site["bytes_out"]) == {"first_images", "benchmark_images", "updates", "control"}
        assert site["bytes_out"]["updates"] == 0
        sizes = [
            path.stat().st_size for path in (outcome["workspace"] / "acquisitions" / site["name"]).iterdir()
        ]
        assert site["bytes_out"]["first_images"] <= 14 * max(sizes)


def test_truth_stays_with_microscope_and_report(outcome: dict[str, Any]) -> None:
    for folder in ("coordinator", "sites", "acquisitions"):
        for path in (outcome["workspace"] / folder).rglob("*"):
            if path.is_file() and path.suffix in {".toml", ".json", ".tif", ".log"}:
                assert str(outcome["workspace"] / "truth") not in path.read_text(errors="replace")


def test_page_holds_everything_it_shows(outcome: dict[str, Any]) -> None:
    assert "data:image/png;base64," in outcome["html"]
    assert "http://" not in outcome["html"].replace("http://www.w3.org", "")
    assert "What is simulated and what is real" in outcome["html"]
