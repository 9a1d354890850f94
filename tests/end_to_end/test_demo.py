"""The whole loop as real processes, small: interrupted once, then run to its end."""

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_library.images.frame import Frame
from model_library.images.readers import read_provenance
from model_library.images.writers import encode_acquisition
from model_library.specimens import SpecimenKind, render
from model_library.wire.tasks import Denoise, Segment, SuperResolve
from model_library.zoo.registry import Library
from simulations.fleet import synoptic

from ..running import naming
from ..waiting import until

pytestmark = pytest.mark.timeout(600)

FRAMES, LONGER = 15, 36
EVERY_N = 5
CLASSES = ("background", "membrane")
CELLS, PARTICLES = SpecimenKind.CELLS, SpecimenKind.PARTICLES
CHANGE = "[change]\nat = 0.5\ndose = 12\n"
SITES = {
    "cells": (CELLS, 128, FRAMES, 'task = "denoise"\npixel_size_nm = 4\nframe_px = 128\n'),
    "nerve": (CELLS, 128, FRAMES, "bits = 16\nframe_px = 128\npixel_size_nm = 4\n"),
    "cortex": (CELLS, 128, LONGER, f"frames = {LONGER}\nframe_px = 128\npixel_size_nm = 4\n{CHANGE}"),
    "attic": (CELLS, 128, FRAMES, "frame_px = 128\npixel_size_nm = 4\nfederate = false\n"),
    "powder": (PARTICLES, 192, FRAMES, 'task = "super-resolve-x2"\nframe_px = 96\nbits = 16\n'),
    "tissue": (CELLS, 128, FRAMES, f'task = "segment:{",".join(CLASSES)}"\nframe_px = 128\n'),
}
"""Of each site: what it looks at, side of a micrograph in px, micrographs, `site.toml`."""


@pytest.fixture(scope="module")
def micrographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("micrographs")
    for site, (kind, side, count, toml) in SITES.items():
        (folder / site / "labels").mkdir(parents=True)
        (folder / site / "site.toml").write_text(toml)
        for number in range(count):
            specimen = render(kind, (side, side), np.random.default_rng([7, *site.encode(), number]))
            pixels = (specimen.intensity * 255).astype(np.uint8)
            (folder / site / f"{number:02d}.tif").write_bytes(encode_acquisition(Frame(pixels, 2.0)))
            if site == "tissue":
                mask = specimen.labels["membrane"].astype(np.uint8) * 255
                (folder / site / "labels" / f"{number:02d}.tif").write_bytes(encode_acquisition(Frame(mask)))
    return folder


@pytest.fixture(scope="module")
def outcome(micrographs: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Interrupt a first run while it acquires, then run it to its end."""
    library = Library()
    for task in (Denoise(), SuperResolve(scale=2), Segment(classes=CLASSES)):
        assert library.for_task(task), f"the library lacks networks for {task}"
    folder = tmp_path_factory.mktemp("demo")
    workspace = folder / "workspace"
    demo = synoptic(
        "demo",
        *("--images", str(micrographs), "--workspace", str(workspace), "--frames", str(FRAMES)),
        *("--first-images", "14", "--tuning-steps", "3", "--max-minutes", "7"),
        *("--json", str(folder / "demo.json"), "--report", str(folder / "demo.html")),
    )
    with (folder / "output.txt").open("wb") as output:
        first = subprocess.Popen(demo, stdout=output, stderr=subprocess.STDOUT)
        until(lambda: any(workspace.glob("microscopes/*.jsonl")), 90)
        first.send_signal(signal.SIGINT)
        interrupted = first.wait(60)
        left = naming(workspace)
        again = subprocess.run(demo, stdout=output, stderr=subprocess.STDOUT, timeout=500, check=False)
    told = (folder / "output.txt").read_text()
    assert again.returncode == 0, told
    return {
        **json.loads((folder / "demo.json").read_text()),
        "interrupted": interrupted,
        "left": {**left, **naming(workspace)},
        "workspace": workspace,
        "html": (folder / "demo.html").read_text(),
    }


def test_interrupt_ends_it_cleanly_and_the_same_command_resumes(outcome: dict[str, Any]) -> None:
    assert outcome["interrupted"] == 130
    assert outcome["left"] == {}
    assert outcome["resumed"]
    assert outcome["complete"], outcome["waiting"]


def test_every_frame_is_accounted_for(outcome: dict[str, Any]) -> None:
    assert sorted(site["name"] for site in outcome["sites"]) == sorted(SITES)
    for site in outcome["sites"]:
        frames = site["frames"]
        assert frames["acquired"] == SITES[site["name"]][2]
        assert frames["acquired"] == frames["reconstructed"] + frames["waiting"] + frames["set_aside"]
        assert (frames["waiting"], frames["set_aside"]) == (0, 0)
        assert frames["returned"] == frames["acquired"] // EVERY_N


def test_nothing_is_done_twice(outcome: dict[str, Any]) -> None:
    for name, (_, _, count, _) in SITES.items():
        acquired = sorted((outcome["workspace"] / "acquisitions" / name).iterdir())
        results = sorted((outcome["workspace"] / "results" / name).glob("*.ome.tif"))
        sources = [read_provenance(result)["source"]["sha256"] for result in results]
        assert len(acquired) == len(results) == len(set(sources)) == count
        returned = [each["sequence"] for each in outcome["monitoring"] if each["site"] == name]
        assert sorted(returned) == [n for n in range(1, count + 1) if n % EVERY_N == 0]


def test_every_site_ends_with_a_method_and_a_score(outcome: dict[str, Any]) -> None:
    for site in outcome["sites"]:
        assert site["method"]["first"]
        assert site["method"]["final"]
        if site["segmentation"] is None:
            assert site["scores"]["metric"] == "psnr"
            assert site["scores"]["final"] > site["scores"]["untreated"]
        else:
            assert site["scores"]["metric"] == "dice"
        assert all(one["fault"] is None for one in site["audited"])
    assert {each["site"] for each in outcome["selection"]} == set(SITES)
    first = [gate for gate in outcome["gates"] if gate.get("campaign") == 1]
    assert len(first) == 2 * len(SITES)
    # Only the last of a channel must have arrived: a later one may overtake it.
    last = {release["site"]: release for release in outcome["releases"]}
    assert all(release["instruments"] for release in last.values())


def test_drift_is_noticed_and_answered(outcome: dict[str, Any]) -> None:
    noticed = [each for each in outcome["drift"] if each["true_onset_sequence"] is not None]
    assert {each["site"] for each in noticed} == {"cortex"}
    assert noticed[0]["true_onset_sequence"] == LONGER // 2 + 1
    # Every N-th image is looked at, so the onset is known to within one of them.
    assert noticed[0]["detected_sequence"] > LONGER // 2
    assert abs(noticed[0]["onset_sequence"] - noticed[0]["true_onset_sequence"]) <= EVERY_N
    answered = [each for each in outcome["improvements"] if each["site"] == "cortex"]
    assert answered[0]["trigger"] == "drift"
    assert answered[0]["reasons"]


def test_federation_that_is_due_has_its_rounds(outcome: dict[str, Any]) -> None:
    federated = [each for each in outcome["cohorts"] if each["federation"] is not None]
    for cohort in federated:
        assert cohort["federation"]["state"] == "done"
        assert cohort["federation"]["rounds"] == 3
        assert all(site["reasons"] for site in cohort["sites"])
        assert not any(site["took_part"] for site in cohort["sites"] if site["site"] == "attic")
    takers = {name for one in outcome["rounds"] for name in one["contributed"]}
    assert all(set(one["contributed"]) <= set(one["eligible"]) for one in outcome["rounds"])
    sent = {site["name"] for site in outcome["sites"] if site["bytes_out"]["updates"] > 0}
    assert takers <= sent <= {"cells", "nerve", "cortex"}


def test_segmentation_site_has_masks_and_counts_objects(outcome: dict[str, Any]) -> None:
    (site,) = [site for site in outcome["sites"] if site["segmentation"] is not None]
    told = site["segmentation"]
    assert site["name"] == "tissue"
    assert 0 < told["dice"] <= 1
    assert told["objects"]["frames"] == FRAMES
    assert told["objects"]["classes"]["membrane"]["mean_count"] > 0


def test_only_asked_images_leave_a_site(outcome: dict[str, Any]) -> None:
    for site in outcome["sites"]:
        assert set(site["bytes_out"]) == {"first_images", "benchmark_images", "updates", "control"}
        sizes = [
            path.stat().st_size for path in (outcome["workspace"] / "acquisitions" / site["name"]).iterdir()
        ]
        campaigns = 1 + sum(each["site"] == site["name"] for each in outcome["drift"])
        assert site["bytes_out"]["first_images"] <= campaigns * 14 * max(sizes)


def test_truth_stays_with_microscope_and_report(outcome: dict[str, Any]) -> None:
    for folder in ("coordinator", "sites", "acquisitions"):
        for path in (outcome["workspace"] / folder).rglob("*"):
            if path.is_file() and path.suffix in {".toml", ".json", ".tif", ".log"}:
                assert str(outcome["workspace"] / "truth") not in path.read_text(errors="replace")


def test_page_holds_everything_it_shows(outcome: dict[str, Any]) -> None:
    assert "data:image/png;base64," in outcome["html"]
    assert "http://" not in outcome["html"].replace("http://www.w3.org", "")
    assert "What is simulated and what is real" in outcome["html"]
