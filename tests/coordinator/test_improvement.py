"""The dose drops: returned images show it, and the next campaign answers, also after a kill."""

import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_library.images.frame import Frame
from model_library.images.readers import read_frame
from model_library.images.writers import encode_acquisition
from model_library.wire.images import ImagePurpose

from ..waiting import until
from .conftest import Coordinator, Instrument, acquisition, enrol, found

FIRST = 14
ONSET = 25
FRAMES = {"acquired": 60, "reconstructed": 60, "waiting": 0, "set_aside": 0, "returned": 0}

pytestmark = pytest.mark.timeout(480)


@dataclass
class Run:
    """What was seen of two campaigns of one instrument."""

    instrument: Instrument
    opened: dict[str, Any]
    orders: dict[str, Any]
    ended: list[dict[str, Any]]
    log: str


def noisier(folder: Path, seed: int) -> bytes:
    """The specimen of `acquisition` at a lower dose and a higher gain: noise as strong again on top."""
    path = folder / "frame.tif"
    path.write_bytes(acquisition(seed))
    pixels = read_frame(path).pixels.astype(float)
    rng = np.random.default_rng([5, seed])
    more = np.clip(pixels + rng.normal(0, np.sqrt(3 * pixels)), 0, 65535)
    return encode_acquisition(Frame(more.astype(np.uint16), pixel_size_nm=4.0))


def campaigns(coordinator: Coordinator) -> list[dict[str, Any]]:
    return coordinator.overview()["campaigns"]


def over(coordinator: Coordinator, number: int) -> bool:
    seen = campaigns(coordinator)
    return len(seen) >= number and seen[number - 1]["stage"] in ("monitoring", "failed")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, library: Path) -> Iterator[Run]:
    folder = tmp_path_factory.mktemp("improvement")
    served = found(folder / "data", library, first_images=FIRST, crop_px=64, steps=5, batch=2, patch_px=32)
    served.start()
    instrument = enrol(served, "scope")
    for sequence in range(1, FIRST + 1):
        instrument.deliver(acquisition(sequence), sequence)
    until(lambda: over(served, 1))
    for sequence in (15, 20):
        instrument.deliver(acquisition(sequence), sequence, ImagePurpose.BENCHMARK)
    for sequence in (ONSET, ONSET + 5, ONSET + 10):
        instrument.deliver(noisier(folder, sequence), sequence, ImagePurpose.BENCHMARK)
    until(lambda: len(campaigns(served)) == 2)
    opened = campaigns(served)[1]
    orders = instrument.client.post("/v1/heartbeat", json={"frames": FRAMES}).json()
    for sequence in range(ONSET, ONSET + FIRST):
        instrument.deliver(noisier(folder, sequence), sequence)
    until(lambda: campaigns(served)[1]["stage"] not in ("waiting for first images", "gathering images"))
    served.end(signal.SIGKILL)
    served.start()
    until(lambda: over(served, 2))
    yield Run(instrument, opened, orders, campaigns(served), served.log)
    served.close()
    assert served.end() == 0


def test_a_drift_opens_a_second_campaign_and_says_why(run: Run) -> None:
    assert (run.opened["number"], run.opened["trigger"]) == (2, "drift")
    drift = run.opened["drift"]
    assert drift["feature"] == "noise"
    assert drift["onset_sequence"] == ONSET
    assert drift["detected_sequence"] in (ONSET + 5, ONSET + 10)
    assert drift["after"] == pytest.approx(2, rel=0.2)
    assert run.opened["events"][0]["text"].startswith("drift: noise")


def test_it_asks_for_images_acquired_since(run: Run) -> None:
    assert run.orders["first_images"] == [
        {"campaign": 1, "from_sequence": 1, "count": FIRST},
        {"campaign": 2, "from_sequence": ONSET, "count": FIRST},
    ]


def test_it_performs_the_same_stages_on_these_images(run: Run) -> None:
    first, second = run.ended
    assert [each["stage"] for each in run.ended] == ["monitoring", "monitoring"], second["failure"]
    begun = [[event["stage"] for event in each["events"] if event["text"] == "begins"] for each in run.ended]
    assert begun[0] == begun[1]
    assert second["noise"]["gain"] > 2 * first["noise"]["gain"]


def test_what_was_in_service_is_a_rival_and_the_looks_go_on(run: Run) -> None:
    looks = [gate["looks"] for each in run.ended for gate in each["gates"]]
    assert looks == [1, 2, 3, 4]
    in_service = run.ended[0]["final"]["method"]["id"]
    [first_gate, _] = run.ended[1]["gates"]
    assert first_gate["incumbent"].startswith(in_service) or first_gate["candidate"].startswith(in_service)


def test_each_release_is_made_once_and_none_where_the_method_stays(run: Run) -> None:
    made = [each for campaign in run.ended for each in campaign["releases"]]
    assert len({each["release_id"] for each in made}) == len(made)
    for campaign in run.ended:
        purposes = {each["purpose"] for each in campaign["releases"]}
        for name in ("first", "final"):
            assert (name in purposes) is not campaign[name]["stays"]


def test_every_image_that_came_is_told_with_what_it_showed(run: Run) -> None:
    told = {each["sequence"]: each["noise"] for each in run.ended[0]["observed"]}
    assert told[20] == pytest.approx(1, abs=0.25)
    assert told[ONSET + 5] == pytest.approx(2, rel=0.2)
    assert "Traceback" not in run.log
