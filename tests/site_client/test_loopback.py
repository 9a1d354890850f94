"""The page of a site: on this computer alone, the newest frame before and after, figures, "it acquires"."""

import base64
import json
import urllib.error
import urllib.request
from typing import Any

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from site_client.frames import Finished, Header, Stamp
from site_client.loopback.desk import Desk
from site_client.loopback.server import LoopbackServer
from site_client.loopback.viewer import Viewer, cut, to_8_bit
from site_client.loopback.views import Views, whole_pixels
from site_client.status import read_status

HEADER = Header(sha256="0" * 64, pixels=100, pixel_size_nm=None, field=None)


def ask(url: str, body: Any = None, **headers: str) -> tuple[int, bytes]:
    data = None if body is None else (body if isinstance(body, bytes) else json.dumps(body).encode())
    request = urllib.request.Request(url, data=data, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.read()


@pytest.fixture
def page(enrolled):
    views = Views(enrolled.settings, enrolled.ledger, enrolled.folder / "viewer.log")
    server = LoopbackServer(Desk(enrolled.folder, enrolled.settings, enrolled.memory, views), 0)
    server.start()
    yield server.url
    server.stop()
    views.close()


@given(
    shape=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    box=st.tuples(*[st.floats(0, 1)] * 4),
    side_px=st.integers(1, 100),
)
def test_a_view_is_never_empty_never_too_large_and_holds_only_pixels_of_the_image(shape, box, side_px):
    pixels = np.arange(shape[0] * shape[1]).reshape(shape)
    view = cut(pixels, box, side_px)
    assert 1 <= min(view.shape) <= max(view.shape) <= side_px
    assert np.isin(view, pixels).all()


@given(
    shape=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    box=st.tuples(*[st.floats(0, 1)] * 4).filter(lambda box: box[0] < box[2] and box[1] < box[3]),
    scale=st.sampled_from((1, 2, 3, 4)),
)
def test_both_pictures_show_the_same_part_however_much_finer_the_result_is(shape, box, scale):
    frame = np.arange(shape[0] * shape[1]).reshape(shape)
    result = frame.repeat(scale, axis=0).repeat(scale, axis=1)
    both = whole_pixels(box, shape)
    shown = cut(frame, both, 1000)
    np.testing.assert_array_equal(cut(result, both, 1000), shown.repeat(scale, axis=0).repeat(scale, axis=1))


def test_the_whole_of_a_small_image_is_shown_as_it_is():
    pixels = np.arange(12).reshape(3, 4)
    np.testing.assert_array_equal(cut(pixels, (0, 0, 1, 1), 100), pixels)


@given(st.floats(-1e6, 1e6), st.floats(0, 1e6))
def test_grey_values_keep_their_order(low, width):
    grey = to_8_bit(np.linspace(-2e6, 2e6, 50)[None], low, low + width)
    assert (np.diff(grey.astype(int)) >= 0).all()


def test_a_viewer_gives_a_png_of_the_part_that_was_asked_for(site, frame_of):
    path = site.acquire(1)
    question = {
        "path": str(path),
        "box": [0, 0, 0.5, 0.25],
        "side_px": 500,
        "range": [0, 400],
        "labels": False,
    }
    answer = Viewer().answer(question)
    picture = imagecodecs.png_decode(base64.b64decode(answer["png"]))
    assert (picture.shape, answer["shape"]) == ((24, 16), [48, 64])


def test_the_page_of_a_running_site(enrolled, coordinator, start_daemon, gaussian, until):
    coordinator.release("r-1", gaussian)
    start_daemon()
    enrolled.acquire(1)
    until(lambda: enrolled.ledger.counts().reconstructed == 1, 60)
    url = read_status(enrolled.folder).page
    assert url.startswith("http://127.0.0.1:")
    assert b"Synoptic" in ask(url)[1]
    newest = json.loads(ask(f"{url}summary.json")[1])["newest"]
    assert newest == {"sequence": 1, "path": "frame-001.tif", "method": "gaussian 1"}
    pictures = {}
    for side in ("before", "after"):
        status, png = ask(f"{url}frames/1/{side}.png?box=0,0,1,1&side_px=64")
        assert status == 200
        pictures[side] = imagecodecs.png_decode(png)
        assert pictures[side].shape == (48, 64)
    assert pictures["after"].std() < pictures["before"].std()  # smoothed, under the same range of greys
    families = {one.name: one for one in text_string_to_metric_families(ask(f"{url}metrics")[1].decode())}
    states = {sample.labels["state"]: sample.value for sample in families["synoptic_frames"].samples}
    assert states == {"reconstructed": 1, "waiting": 0, "set_aside": 0, "skipped": 0}
    assert json.loads(ask(f"{url}status.json")[1])["site"] == "sem-1"


def test_a_file_that_was_set_aside_is_told_until_a_later_frame_has_a_result(enrolled, page, gaussian):
    def failed() -> dict[str, str] | None:
        return json.loads(ask(f"{page}summary.json")[1])["failed"]

    assert failed() is None
    ledger = enrolled.ledger
    ledger.set_file_aside("half.tif", Stamp(10, 1), "truncated", now=1.0)
    assert failed() == {"path": "half.tif", "reason": "truncated"}
    ledger.accept("next.tif", Stamp(9, 2), HEADER, now=2.0, exists=lambda _: True)
    assert failed() is not None
    ledger.finish(ledger.frame(1), Finished(gaussian, "r-1", "next_000001.ome.tif", 0.1), now=3.0)
    assert failed() is None


def test_the_microscopes_software_says_that_it_acquires(enrolled, page):
    told = {"Content-Type": "application/json"}
    assert ask(f"{page}acquiring", {"acquiring": True, "for_s": 30}, **told)[0] == 200
    assert enrolled.memory.controls.current().acquiring_until is not None
    assert ask(f"{page}acquiring", {"acquiring": False}, **told)[0] == 200
    assert enrolled.memory.controls.current().acquiring_until is None


@pytest.mark.parametrize(
    ("path", "body", "headers", "status"),
    [
        ("acquiring", {"acquiring": True}, {"Content-Type": "text/plain"}, 415),
        ("acquiring", {"acquiring": True, "for_s": -1}, {"Content-Type": "application/json"}, 400),
        ("acquiring", b"{", {"Content-Type": "application/json"}, 400),
        ("acquiring", b"[" * 5000, {"Content-Type": "application/json"}, 400),
        ("acquiring", {"acquiring": True}, {"Content-Type": "application/json", "Host": "evil.example"}, 403),
        ("summary.json", None, {"Host": "evil.example:80"}, 403),
        ("pause", {"acquiring": True}, {"Content-Type": "application/json"}, 404),
        ("frames/7/before.png", None, {}, 404),
        ("frames/../../etc/passwd", None, {}, 404),
        ("frames/x/before.png", None, {}, 400),
        ("frames/1/before.png?box=0,0,2,2", None, {}, 400),
        ("frames/1/before.png?box=0,0,nan,1", None, {}, 400),
    ],
)
def test_what_is_not_for_this_page_is_refused(enrolled, page, path, body, headers, status):
    assert ask(page + path, body, **headers)[0] == status
    assert enrolled.memory.controls.current().acquiring_until is None


def test_a_port_that_is_taken_costs_the_page_and_not_the_site(
    enrolled, page, start_daemon, coordinator, until
):
    port = int(page.rsplit(":", 1)[1].strip("/"))
    settings = enrolled.folder / "settings.toml"
    settings.write_text(settings.read_text().replace("loopback_port = 0", f"loopback_port = {port}"))
    start_daemon()
    until(lambda: "page" in enrolled.journal.alarms())
    until(lambda: coordinator.heartbeats)
    assert read_status(enrolled.folder).page is None
