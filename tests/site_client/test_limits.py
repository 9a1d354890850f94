"""What a site's owner caps stays below its cap: the bandwidth of what is sent, the room of the log."""

import json

import pytest

from model_library.signing.digests import sha256_file
from model_library.wire.orders import ImageRequest, Orders
from site_client import daemon
from site_client.coordinator_client import CoordinatorClient
from site_client.frames import Header, Stamp
from site_client.identity import read_identity
from site_client.sending import Sending


class Waits:
    """Stands for the event that ends the daemon; notes what was waited for."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def wait(self, seconds: float) -> bool:
        self.seconds.append(seconds)
        return False


def test_images_take_at_least_the_time_that_their_bandwidth_allows(enrolled, coordinator, frame_of):
    mbit_per_s = 0.5
    capped = enrolled.settings.model_copy(update={"upload_mbit_per_s": mbit_per_s, "call_deadline_s": 30.0})
    sent_bytes = 0
    for number in range(1, 4):
        # The last one takes several chunks.
        path = enrolled.acquire(number, frame_of(number, (1200, 1200) if number == 3 else (48, 64)))
        stamp = Stamp(path.stat().st_size, path.stat().st_mtime_ns)
        header = Header(sha256_file(path), 48 * 64, 4.0, None)
        enrolled.ledger.accept(path.name, stamp, header, now=0, exists=lambda _: True)
        sent_bytes += stamp.size
    first = ImageRequest(campaign=1, from_sequence=1, count=3)
    enrolled.outbox.follow(Orders(first_images=(first,), every_n=1000), now=0)
    waits = Waits()
    client = CoordinatorClient(capped, read_identity(enrolled.folder), lambda *_: None)
    sending = Sending(enrolled.folder, capped, client, enrolled.memory, stop=waits)
    while sending.step() == 0.0:
        pass
    sending.close()
    client.close()
    assert sum(waits.seconds) == pytest.approx(8e-6 * sent_bytes / mbit_per_s)
    assert len(waits.seconds) > 3
    assert enrolled.outbox.counts()["first_images"].delivered == 3


@pytest.mark.parametrize("events", [1, 40, 200])
def test_the_log_keeps_the_newest_lines_in_four_files_at_most(site, monkeypatch, events):
    limit = 4096
    monkeypatch.setattr(daemon, "_KEPT_LOG_BYTES", limit)
    with daemon._logging_to(site.folder / "log" / "daemon.log"):
        for number in range(events):
            site.journal.note("noted", f"event {number}")
    files = sorted((site.folder / "log").iterdir())
    assert 1 <= len(files) <= 4
    assert all(file.stat().st_size <= limit for file in files)
    lines = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    assert f"event {events - 1}" in {line["text"] for line in lines}
