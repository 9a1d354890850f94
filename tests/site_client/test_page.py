"""The page as a browser finds it: whole in itself, every address answered, pixels those of frame and result.

Where no browser is at hand (on the search path, or named by SYNOPTIC_BROWSER) its script is read, and run by
node in a document that is none.
"""

import http.client
import json
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

import imagecodecs
import numpy as np
import pytest

from model_library.images.readers import read_frame
from site_client.loopback.viewer import to_8_bit
from site_client.status import read_status

BROWSER = os.environ.get("SYNOPTIC_BROWSER") or shutil.which("chromium") or shutil.which("google-chrome")
LOADS = ("src", "href", "action", "data", "poster", "srcset")


class Parts(HTMLParser):
    """What a page consists of."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.hidden: set[str] = set()
        self.tags: list[str] = []
        self.loaded: list[str] = []
        self.script = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        given = dict(attrs)
        assert given.get("id") not in self.ids, "two of one id"
        if given.get("id"):
            self.ids.add(given["id"])
            if "hidden" in given:
                self.hidden.add(given["id"])
        self.loaded += [value for name, value in attrs if name in LOADS and value]

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] == "script":
            self.script += data


@pytest.fixture
def url(enrolled, coordinator, start_daemon, gaussian, until) -> str:
    """The page of a real daemon that has done a frame."""
    coordinator.release("r-1", gaussian)
    start_daemon()
    enrolled.acquire(1)
    until(lambda: enrolled.ledger.counts().reconstructed == 1, 60)
    return read_status(enrolled.folder).page


def get(url: str, path: str = "", **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Ask as a browser does, with whatever host it believes to talk to."""
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(url).port, timeout=30)
    try:
        connection.request("GET", f"/{path}", headers=headers)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def test_the_page_is_whole_and_every_address_in_it_is_answered(enrolled, url):
    status, headers, body = get(url)
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    page = Parts(body.decode())
    # Nothing from elsewhere: no link, no font, no script but its own; the browser is told so, too.
    assert page.loaded == []
    assert re.findall(r"https?:|//[a-z]", body.decode()) == []
    policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert (policy["img-src"], policy["connect-src"]) == ("'self'", "'self'")
    # What the script names is there.
    named = set(re.findall(r'(?:getElementById|say)\("([\w-]+)"', page.script))
    named |= set(re.findall(r'sides = \["(\w+)", "(\w+)"\]', page.script)[0])
    assert named <= page.ids
    assert page.tags.count("img") == 2
    # Zoom by wheel, moving by dragging, and a way back.
    for event in ('addEventListener("wheel"', 'addEventListener("pointerdown"', 'getElementById("whole")'):
        assert event in page.script
    # Every address that the script asks for.
    assert re.findall(r'fetch\("([^"]+)"', page.script) == ["summary.json"]
    picture = re.findall(r"`(frames/[^`]+)`", page.script)
    assert picture == ["frames/${sequence}/${side}.png?${query}"]
    summary = json.loads(get(url, "summary.json")[2])
    used = set(re.findall(r"\bfound\.(\w+)", page.script))
    assert used <= summary.keys()
    assert set(re.findall(r"\bframes\.(\w+)", page.script)) <= summary["frames"].keys()
    assert set(re.findall(r"\bnewest\.(\w+)", page.script)) <= summary["newest"].keys()
    for side in ("before", "after"):
        path = f"frames/{summary['newest']['sequence']}/{side}.png?box=0.100000,0.1,0.6,0.600000&side_px=1400"
        status, headers, _ = get(url, path)
        assert (status, headers["Content-Type"]) == (200, "image/png")
    for box in ((0, 0, 1, 1), (0.25, 0.5, 0.75, 1.0)):
        same_pixels(enrolled, url, box)


def same_pixels(enrolled, url: str, box: tuple[float, float, float, float]) -> None:
    """Both pictures of a box are that part of the frame and of its result, under one range of greys."""
    frame = enrolled.ledger.reconstructed()
    before = read_frame(enrolled.settings.acquisitions / str(frame.path)).pixels
    after = read_frame(enrolled.settings.results / frame.result).pixels
    assert not np.array_equal(before, after)
    low, high = np.percentile(before, [0.5, 99.5])
    top, left, bottom, right = (
        round(share * side) for share, side in zip(box, (*before.shape, *before.shape), strict=True)
    )
    for side, pixels in (("before", before), ("after", after)):
        told = ",".join(map(str, box))
        _, _, png = get(url, f"frames/1/{side}.png?box={told}&side_px=1400")
        expected = to_8_bit(pixels[top:bottom, left:right], low, high)
        shown = imagecodecs.png_decode(png)
        assert shown.shape == expected.shape
        assert np.abs(shown.astype(int) - expected).max() <= 1


HOSTS = (
    "evil.example",
    "evil.example:8080",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "",
    "[::1]",
)


def test_no_other_name_and_no_other_origin_is_let_in(enrolled, url):
    """DNS rebinding: a page of `evil.example`, whose name now leads here, asks under its own name."""
    for host in HOSTS:
        for path in ("", "summary.json", "status.json", "metrics", "frames/1/before.png"):
            status, headers, body = get(url, path, Host=host)
            assert status == 403, (host, path)
            assert b"sem-1" not in body
            assert "Access-Control-Allow-Origin" not in headers
    port = urlsplit(url).port
    for path in ("", "summary.json", "frames/1/before.png"):
        _, headers, _ = get(url, path, Host=f"127.0.0.1:{port}", Origin="https://evil.example")
        assert not [name for name in headers if name.lower().startswith("access-control")]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    # Asked beforehand (CORS preflight), it says nothing that would let a JSON POST through.
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("OPTIONS", "/acquiring", headers={"Origin": "https://evil.example"})
    answer = connection.getresponse()
    assert answer.status >= 400
    assert "Access-Control-Allow-Origin" not in dict(answer.getheaders())
    connection.close()
    assert listening(port) == {f"0100007F:{port:04X}"}


def listening(port: int) -> set[str]:
    """Addresses of this computer on which somebody listens on a port."""
    rows = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
    ]
    return {row[1] for row in rows if row[3] == "0A" and int(row[1].rpartition(":")[2], 16) == port}


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node, which runs the page's script")
def test_its_script_shows_zooms_moves_and_goes_back(enrolled, url):
    program = ["node", str(Path(__file__).with_name("page_in_node.mjs")), url]
    told = json.loads(subprocess.run(program, capture_output=True, text=True, timeout=60, check=True).stdout)
    for step in ("first", "zoomed", "moved", "whole"):
        pictures = told[step]
        assert {(each["status"], each["type"]) for each in pictures.values()} == {(200, "image/png")}
        # Both sides show the same part.
        assert pictures["before"]["box"] == pictures["after"]["box"]
    boxes = {step: told[step]["after"]["box"] for step in ("first", "zoomed", "moved", "whole")}
    assert boxes["first"] == boxes["whole"] == [0, 0, 1, 1]
    # Zoomed by 0.8 at a quarter of the width and half of the height, which stay where they are.
    assert boxes["zoomed"] == pytest.approx([0.1, 0.05, 0.9, 0.85])
    # Dragged by a twentieth of the width to the left and a tenth of the height down.
    assert boxes["moved"] == pytest.approx([0.02, 0.09, 0.82, 0.89])
    assert told["texts"]["site"] == "sem-1"
    assert "1 reconstructed" in told["texts"]["frames"]
    assert told["texts"]["named-before"] == "As acquired: frame-001.tif"
    assert told["texts"]["alarms"] == ""


@pytest.mark.skipif(BROWSER is None, reason="needs Chromium: SYNOPTIC_BROWSER")
def test_a_browser_shows_both_pictures_and_has_nothing_to_complain_of(enrolled, url, tmp_path):
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    options += ["--enable-logging=stderr", "--virtual-time-budget=8000", "--dump-dom"]
    shown = subprocess.run([BROWSER, *options, url], capture_output=True, text=True, timeout=60, check=True)
    hidden = Parts(shown.stdout).hidden
    assert hidden >= {"instead-of-before", "instead-of-after"}
    assert not hidden & {"before", "after"}
    assert "As acquired: frame-001.tif" in shown.stdout
    assert [line for line in shown.stderr.splitlines() if ":CONSOLE" in line] == []
