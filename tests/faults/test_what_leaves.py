"""What leaves a site, counted by a proxy outside the programs."""

import ssl
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from model_library.images.readers import read_frame

from ..waiting import until

pytestmark = pytest.mark.timeout(420)

SITES = ("north", "east", "south")
FIRST_IMAGES, EVERY_N = 14, 5
TAP = Path(__file__).parent / "tap.py"
NEEDLE_BYTES = 24


@pytest.fixture(scope="module")
def tapped(small_fleet: Callable[..., Any]) -> dict[str, Any]:
    """Run a federation of three sites whose every word passes the proxy."""
    fleet = small_fleet(rounds=2)
    fleet.host = "127.0.0.2"
    out = fleet.folder / "tap"
    command = [
        *(sys.executable, str(TAP), "--host", fleet.host, "--port", str(fleet.port)),
        *("--upstream", f"https://127.0.0.1:{fleet.port}", "--data", str(fleet.data), "--out", str(out)),
    ]
    fleet.start("tap", command)
    until(lambda: answers(fleet), 30, "the proxy to listen")
    for name in SITES:
        fleet.enrol(name)
        fleet.run_site(name)
    ended = until(fleet.over, 300, "a federation to end")
    frames = FIRST_IMAGES + 2 * EVERY_N
    until(
        lambda: all(fleet.status(name).frames.returned == frames // EVERY_N for name in SITES),
        60,
        "every N-th image to be returned",
    )
    return {"fleet": fleet, "federation": ended, "out": out, "frames": frames}


def answers(fleet: Any) -> bool:
    """Whether the proxy passes a request on."""
    try:
        return httpx.get(
            f"https://{fleet.host}:{fleet.port}/v1/health",
            verify=ssl.create_default_context(cafile=str(fleet.data / "tls" / "ca.pem")),
            trust_env=False,
        ).is_success
    except httpx.TransportError:
        return False


def test_the_federation_went_through_the_proxy(tapped: dict[str, Any], lines: Any) -> None:
    assert tapped["federation"]["stage"] == "done", tapped["federation"]
    paths = {each["path"] for each in lines(tapped["out"] / "requests.jsonl")}
    assert {"/v1/fleet/pull-messages", "/v1/fleet/push-object", "/v1/heartbeat"} <= paths
    assert not [path for path in paths if path.startswith(("/v1/control", "/v1/runtime"))]


def test_image_bytes_are_those_of_the_images_asked_for(tapped: dict[str, Any], lines: Any) -> None:
    requests = lines(tapped["out"] / "requests.jsonl")
    told = [each["declaration"] for each in requests if each["declaration"]]
    for purpose, wanted in (
        ("first_images", list(range(1, FIRST_IMAGES + 1))),
        ("benchmark_images", [n for n in range(1, tapped["frames"] + 1) if n % EVERY_N == 0]),
    ):
        declared = sorted(each["sequence"] for each in told if each["purpose"] == purpose)
        assert declared == sorted(wanted * len(SITES))
    sent = sum(each["body_bytes"] for each in requests if each["method"] == "PATCH")
    # An image that is asked for twice (as a first one and as an N-th) is sent once.
    once = {each["sha256"]: each["bytes"] for each in told}
    assert sent == sum(once.values())


def test_sites_count_their_bytes_as_the_proxy_does(tapped: dict[str, Any], lines: Any) -> None:
    requests = lines(tapped["out"] / "requests.jsonl")
    images = sum(each["body_bytes"] for each in requests if each["method"] == "PATCH")
    updates = sum(each["body_bytes"] for each in requests if each["path"] == "/v1/fleet/push-object")
    told = [tapped["fleet"].status(name).bytes_out for name in SITES]
    assert sum(each["first_images"] + each["benchmark_images"] for each in told) == images
    counted = sum(each["updates"] for each in told)
    assert counted > 0
    assert abs(updates - counted) < 0.05 * updates


def test_no_pixels_travel_in_anything_but_an_image(tapped: dict[str, Any]) -> None:
    said = b"".join(path.read_bytes() for path in sorted(tapped["out"].glob("*.body")))
    assert len(said) > 100_000
    files = sorted((tapped["fleet"].folder / "acquisitions").rglob("*.tif"))
    assert len(files) == len(SITES) * tapped["frames"]
    for file in files:
        pixels = np.ascontiguousarray(read_frame(file).pixels).tobytes()
        for start in range(0, len(pixels) - NEEDLE_BYTES, len(pixels) // 16):
            assert pixels[start : start + NEEDLE_BYTES] not in said, file
