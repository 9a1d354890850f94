"""Frames meet methods: each result names the method that made it; a worker that dies stops nothing."""

import json
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from model_library.errors import ChildDied, ChildRefused
from model_library.images.frame import Frame
from model_library.images.readers import read_frame, read_provenance
from model_library.images.writers import encode_acquisition
from model_library.signing.digests import sha256_file
from model_library.wire.methods import ClassicalRef, NetworkRef
from model_library.wire.tasks import SuperResolve
from site_client.children import Caps, worker_child
from site_client.frames import FrameState, Header, Stamp
from site_client.journal import InService
from site_client.processing import Processing

DEATH = ChildDied("it ended without an answer (signal SIGSEGV)")


class ScriptedWorker:
    """Answers what the test says, and keeps the questions."""

    def __init__(self, *answers: dict[str, Any] | Exception) -> None:
        self.answers = list(answers)
        self.questions: list[dict[str, Any]] = []

    def ask(self, question: dict[str, Any], deadline_s: float) -> dict[str, Any]:
        self.questions.append(json.loads(json.dumps(question)))
        answer = self.answers.pop(0) if self.answers else {"busy_s": 0.1}
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def installer(site):
    distrusted = []
    return SimpleNamespace(
        is_whole=lambda: True,
        networks=site.folder / "networks",
        network_folder=lambda ref: site.folder / "networks" / ref.weights_sha256,
        distrust=lambda ref, reason: distrusted.append(ref),
        distrusted=distrusted,
    )


def accept(site, number: int) -> Path:
    path = site.acquire(number)
    stamp = Stamp(path.stat().st_size, path.stat().st_mtime_ns)
    header = Header(sha256_file(path), 48 * 64, 4.0, None)
    site.ledger.accept(path.name, stamp, header, now=0, exists=lambda _: True)
    return path


def serve(site, method) -> None:
    site.journal.remember(
        "in_service", InService(release_id=f"r-{method.id}", method=method).model_dump_json()
    )


def processing(site, installer, worker) -> Processing:
    return Processing(site.settings, site.memory, installer, worker, stop=threading.Event())


def test_frames_wait_until_there_is_a_method(site, installer) -> None:
    accept(site, 1)
    worker = ScriptedWorker()
    assert processing(site, installer, worker).step() > 0
    assert worker.questions == []
    assert site.ledger.counts().waiting == 1


def test_a_swap_happens_between_frames_and_each_frame_remembers_its_method(site, installer, gaussian) -> None:
    median = ClassicalRef(id="median", parameters={"size_px": 3.0})
    worker = ScriptedWorker()
    steps = processing(site, installer, worker)
    for number, method in ((1, gaussian), (2, median)):
        accept(site, number)
        serve(site, method)
        assert steps.step() == 0.0
    assert [frame.method for frame in site.ledger.frames()] == [gaussian, median]
    assert [question["method"]["id"] for question in worker.questions] == ["gaussian", "median"]
    assert [question["provenance"]["release_id"] for question in worker.questions] == [
        "r-gaussian",
        "r-median",
    ]


def test_the_frame_that_kills_the_worker_twice_is_set_aside_and_the_next_goes_on(
    site, installer, gaussian
) -> None:
    accept(site, 1)
    accept(site, 2)
    serve(site, gaussian)
    steps = processing(site, installer, ScriptedWorker(DEATH, DEATH))
    assert steps.step() > 0
    assert site.ledger.frame(1).state is FrameState.WAITING
    steps.step()
    assert site.ledger.frame(1).state is FrameState.SET_ASIDE
    assert "died 2 times" in site.ledger.frame(1).reason
    steps.step()
    assert site.ledger.frame(2).state is FrameState.RECONSTRUCTED


def test_a_frame_that_does_not_fit_into_memory_holds_no_other_up(site, installer, gaussian) -> None:
    accept(site, 1)
    accept(site, 2)
    serve(site, gaussian)
    lack = ChildRefused("OutOfMemory", "not even the smallest windows fit")
    steps = processing(site, installer, ScriptedWorker(lack, lack))
    steps.step()
    assert site.ledger.frame(1).state is FrameState.WAITING
    steps.step()
    assert site.ledger.frame(1).reason == "OutOfMemory: not even the smallest windows fit"
    steps.step()
    assert site.ledger.frame(2).state is FrameState.RECONSTRUCTED


def test_a_worker_whose_memory_is_capped_gives_a_frame_beyond_it_up_and_does_the_next(
    site, installer, gaussian, tmp_path
) -> None:
    large = site.acquire(1, encode_acquisition(Frame(np.zeros((9000, 9000), np.uint16), 4.0)))
    stamp = Stamp(large.stat().st_size, large.stat().st_mtime_ns)
    header = Header(sha256_file(large), 9000 * 9000, 4.0, None)
    site.ledger.accept(large.name, stamp, header, now=0, exists=lambda _: True)
    accept(site, 2)
    serve(site, gaussian)
    worker = worker_child(1, 0, tmp_path / "worker.log", caps=Caps(memory_bytes=1_200_000_000))
    steps = processing(site, installer, worker)
    for _ in range(3):
        steps.step()
    worker.stop()
    states = {str(frame.path): frame.state for frame in site.ledger.frames()}
    assert states == {"frame-001.tif": FrameState.SET_ASIDE, "frame-002.tif": FrameState.RECONSTRUCTED}


def test_a_worker_that_the_ending_daemon_kills_is_not_the_frames_fault(site, installer, gaussian) -> None:
    accept(site, 1)
    serve(site, gaussian)
    steps = processing(site, installer, ScriptedWorker(DEATH, DEATH))
    steps._stop.set()
    steps.step()
    steps.step()
    assert site.ledger.frame(1).state is FrameState.WAITING


@pytest.mark.parametrize(
    ("code", "reason"),
    [("NonFinitePixels", "NonFinitePixels"), ("SourceMissing", "missing"), ("SourceChanged", "changed")],
)
def test_a_frame_that_cannot_be_done_says_why(site, installer, gaussian, code, reason) -> None:
    accept(site, 1)
    serve(site, gaussian)
    processing(site, installer, ScriptedWorker(ChildRefused(code, "why"))).step()
    assert site.ledger.frame(1).reason == f"{reason}: why"


def test_a_network_that_no_longer_loads_is_distrusted_and_the_frame_waits(site, installer) -> None:
    accept(site, 1)
    network = NetworkRef(id="tiny", version="1", weights_sha256="a" * 64)
    serve(site, network)
    processing(site, installer, ScriptedWorker(ChildRefused("WeightsError", "digest"))).step()
    assert installer.distrusted == [network]
    assert site.ledger.frame(1).state is FrameState.WAITING


def test_a_full_disk_is_an_alarm_and_the_frame_waits(site, installer, gaussian) -> None:
    accept(site, 1)
    serve(site, gaussian)
    steps = processing(site, installer, ScriptedWorker(ChildRefused("OSError", "no space left")))
    assert steps.step() > 0
    assert site.journal.alarms() == {"worker": "OSError: no space left"}
    assert steps.step() == 0.0
    assert site.journal.alarms() == {}
    assert site.ledger.frame(1).state is FrameState.RECONSTRUCTED


def test_the_worker_writes_a_result_with_its_whole_provenance(site, installer, tmp_path) -> None:
    source = accept(site, 1)
    bicubic = ClassicalRef(id="bicubic")
    settings = site.settings.model_copy(update={"task": SuperResolve(scale=2)})
    serve(site, bicubic)
    worker = worker_child(1, 0, tmp_path / "worker.log")
    steps = Processing(settings, site.memory, installer, worker, stop=threading.Event())
    assert steps.step() == 0.0
    worker.stop()
    result = settings.results / site.ledger.frame(1).result
    frame, provenance = read_frame(result), read_provenance(result)
    assert frame.pixels.shape == (96, 128)
    assert frame.pixels.dtype == np.uint16
    assert frame.pixel_size_nm == pytest.approx(2.0)
    assert provenance["method"]["id"] == "bicubic"
    assert provenance["source"]["file_name"] == source.name
    assert provenance["source"]["sha256"] == sha256_file(source)
    assert provenance["release_id"] == "r-bicubic"
    assert provenance["software"].startswith("synoptic ")
    assert {"made_at", "parameters", "task", "scale", "site"} <= provenance.keys()


def test_halves_of_results_that_a_kill_left_are_removed_and_nothing_else(site, installer) -> None:
    deep = site.settings.results / "series"
    deep.mkdir(parents=True)
    left = deep / f".frame_000001.ome.tif.{'0a' * 16}.part"
    others = [deep / ".somebody-elses.part", deep / "frame_000002.ome.tif"]
    for path in (left, *others):
        path.write_bytes(b"x")
    processing(site, installer, ScriptedWorker()).step()
    assert sorted(deep.iterdir()) == sorted(others)
