"""What a site may take: hours, bandwidth, disk; and the record of what has left it."""

import json
import subprocess
import sys
import threading
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from site_client.frames import FrameState
from site_client.hours import is_open, parse_span
from site_client.processing import Processing
from site_client.settings import SiteSettings, found_in, read_settings, write_settings

from .test_processing import ScriptedWorker, accept, installer, serve  # noqa: F401

MONDAY = datetime(2026, 11, 23)


@pytest.mark.parametrize(
    ("span", "inside", "outside"),
    [
        ("20:00-06:00", ["0 20:00", "0 23:59", "1 05:59", "6 03:00"], ["0 19:59", "0 06:00", "3 12:00"]),
        ("fri 20:00-06:00", ["4 20:00", "5 05:59"], ["5 20:00", "4 05:00"]),
        ("sat,sun 00:00-24:00", ["5 00:00", "6 23:59"], ["4 23:59", "0 00:00"]),
        ("mon-fri 12:00-13:00", ["0 12:00", "4 12:59"], ["5 12:30", "0 13:00"]),
        ("sun-mon 08:00-09:00", ["6 08:00", "0 08:30"], ["1 08:30", "5 08:30"]),
    ],
)
def test_hours_of_the_day_on_days_of_the_week(span, inside, outside):
    def moment(text: str) -> datetime:
        day, clock = text.split()
        hours, minutes = clock.split(":")
        return MONDAY + timedelta(days=int(day), hours=int(hours), minutes=int(minutes))

    assert [text for text in inside if not is_open((span,), moment(text))] == []
    assert [text for text in outside if is_open((span,), moment(text))] == []


def test_without_hours_it_is_always():
    assert is_open((), MONDAY)


@given(st.integers(0, 23), st.integers(0, 23), st.integers(0, 7 * 24 * 60 - 1))
def test_a_span_and_the_one_that_begins_where_it_ends_share_the_day(begin, end, minute):
    now = MONDAY + timedelta(minutes=minute)
    spans = [f"{begin}:00-{end}:00", f"{end}:00-{begin}:00"]
    open_now = [parse_span(span).holds(now) for span in spans]
    assert sum(open_now) == 1 if begin != end else all(open_now)


@pytest.mark.parametrize("wrong", ["night", "25:00-26:00", "20:00", "someday 10:00-11:00", "10:00-11:61"])
def test_hours_that_are_none_are_refused_before_anything_runs(settings, wrong):
    with pytest.raises(ValidationError, match=r"hours such as|days among|time of the day"):
        SiteSettings.model_validate(settings.model_dump() | {"upload_hours": (wrong,)})


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"site_name": "SEM 1"}, "1 to 63 of a-z"),
        ({"coordinator_url": "http://host:8443"}, "https://host:port"),
    ],
)
def test_a_name_or_an_address_of_another_form_is_told_in_words(settings, wrong, told):
    with pytest.raises(ValidationError) as refusal:
        SiteSettings(**settings.model_dump() | wrong)
    (found,) = wrong.values()
    assert found in found_in(refusal.value)
    assert told in found_in(refusal.value)


def test_settings_come_back_as_they_were_written(tmp_path, settings):
    changed = settings.model_copy(
        update={"upload_hours": ("20:00-06:00",), "upload_mbit_per_s": 8.0, "slowest_mpix_per_s": 0.5}
    )
    for each in (settings, changed):
        (tmp_path / "settings.toml").write_text(write_settings(each))
        assert read_settings(tmp_path) == each


def test_without_room_frames_wait_and_go_on_when_there_is_some(site, installer, gaussian):  # noqa: F811
    accept(site, 1)
    serve(site, gaussian)
    full = site.settings.model_copy(update={"least_free_gb": 1e9})
    worker = ScriptedWorker()
    assert Processing(full, site.memory, installer, worker, stop=threading.Event()).step() > 0
    assert (worker.questions, site.ledger.frame(1).state) == ([], FrameState.WAITING)
    assert "frames wait" in site.journal.alarms()["disk"]
    assert Processing(site.settings, site.memory, installer, worker, stop=threading.Event()).step() == 0.0
    assert site.journal.alarms() == {}


def test_nothing_is_sent_outside_the_hours_and_the_record_tells_what_was(
    enrolled, coordinator, start_daemon, until
):
    path = enrolled.folder / "settings.toml"
    now = datetime.now()
    closed = f"{(now + timedelta(hours=2)):%H:00}-{(now + timedelta(hours=3)):%H:00}"
    open_text = path.read_text()
    path.write_text(open_text.replace("upload_hours = []", f'upload_hours = ["{closed}"]'))
    daemon = start_daemon()
    for number in range(1, 4):
        enrolled.acquire(number)
    until(lambda: enrolled.outbox.counts()["first_images"].queued == 3)
    heard = len(coordinator.heartbeats)
    until(lambda: len(coordinator.heartbeats) > heard + 10)
    assert coordinator.uploads == []
    daemon.terminate()
    assert daemon.wait(timeout=20) == 0
    path.write_text(open_text)
    start_daemon()
    until(lambda: coordinator.delivered("first_images") == [1, 2, 3])
    until(lambda: enrolled.outbox.counts()["benchmark_images"].delivered == 1)
    command = [sys.executable, "-m", "model_library", "site", "sent", "--folder", str(enrolled.folder)]
    told = subprocess.run([*command, "--json"], capture_output=True, text=True, timeout=60, check=True)
    sent = json.loads(told.stdout)
    assert sorted((each["purpose"], each["sequence"]) for each in sent["images"]) == [
        ("benchmark_images", 2),
        *(("first_images", number) for number in (1, 2, 3)),
    ]
    received = {upload["declaration"]["sha256"] for upload in coordinator.uploads}
    assert {each["sha256"] for each in sent["images"]} == received
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert "frame-002.tif" in shown
