"""A site that hears nothing of its coordinator for seven days: every image leaves afterwards, once, in order.

`SYNOPTIC_LONG=1` acquires 10,000 images in that week.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from model_library.signing.digests import sha256_bytes
from model_library.wire.orders import ImageRequest, Orders
from site_client.coordinator_client import CoordinatorClient
from site_client.database import Database
from site_client.errors import CoordinatorUnreachable
from site_client.frames import Header, Stamp
from site_client.identity import read_identity
from site_client.memory import LEDGER_FILE, Memory
from site_client.spool import Spool
from site_client.upload import Uploader

LONG = os.environ.get("SYNOPTIC_LONG") == "1"
DAYS, HOURS = 7, 24
FRAMES_PER_HOUR = 60 if LONG else 1
FIRST, EVERY_N = 28, 1 if LONG else 3
BEGAN = 1_800_000_000.0

pytestmark = pytest.mark.timeout(1800 if LONG else 120)


@dataclass
class Week:
    """A site whose clock is passed in; `restart` is a new process on the same folder."""

    site: object
    client: CoordinatorClient
    now: float = BEGAN

    def __post_init__(self) -> None:
        self.digests: dict[int, str] = {}
        self.restart()

    def restart(self) -> None:
        database = Database(self.site.folder / LEDGER_FILE)
        self.memory = Memory(database)
        self.spool = Spool(
            self.site.folder / "spool", self.site.settings.acquisitions, self.memory.outbox, 1 << 30
        )
        self.uploader = Uploader(self.client, self.memory.outbox, self.spool, lambda: self.now)

    def acquire(self, frame_of) -> None:
        number = len(self.digests) + 1
        content = frame_of(number, (16, 16))
        path = self.site.acquire(number, content)
        stamp = Stamp(path.stat().st_size, path.stat().st_mtime_ns)
        self.digests[number] = sha256_bytes(content)
        header = Header(self.digests[number], 256, 4.0, f"field-{number}")
        self.memory.ledger.accept(path.name, stamp, header, now=self.now, exists=lambda _: True)

    def keep(self) -> None:
        """What conversation and sending do at each of their steps, with the orders last heard."""
        first = ImageRequest(campaign=1, from_sequence=1, count=FIRST)
        self.memory.outbox.follow(Orders(first_images=(first,), every_n=EVERY_N), now=self.now)
        self.spool.fill()


@pytest.fixture
def week(enrolled) -> Iterator[Week]:
    settings = enrolled.settings.model_copy(update={"call_deadline_s": 30.0})
    client = CoordinatorClient(settings, read_identity(enrolled.folder), enrolled.journal.count_bytes)
    yield Week(enrolled, client)
    client.close()


def test_after_a_week_offline_every_image_leaves_once_and_first_images_first(week, coordinator, frame_of):
    coordinator.down = True
    for hour in range(DAYS * HOURS):
        week.now = BEGAN + 3600 * hour
        for _ in range(FRAMES_PER_HOUR):
            week.acquire(frame_of)
        week.keep()
        if hour % HOURS == HOURS - 1:
            with pytest.raises(CoordinatorUnreachable):
                week.uploader.send_next()
            for path in week.site.settings.acquisitions.iterdir():
                path.unlink()  # the microscope's folder is emptied every night
        if hour % (2 * HOURS) == HOURS:
            week.restart()
    assert coordinator.uploads == []
    frames = DAYS * HOURS * FRAMES_PER_HOUR
    wanted = [("first_images", number) for number in range(1, FIRST + 1)]
    wanted += [("benchmark_images", number) for number in range(EVERY_N, frames + 1, EVERY_N)]
    coordinator.down = False
    week.now = BEGAN + 7 * 86_400
    week.restart()
    week.keep()
    while week.uploader.send_next():
        pass
    left = [each["declaration"] for each in coordinator.uploads]
    assert [(each["purpose"], each["sequence"]) for each in left] == wanted
    assert all(each["sha256"] == week.digests[each["sequence"]] for each in left)
    assert all(sha256_bytes(each["content"]) == each["declaration"]["sha256"] for each in coordinator.uploads)
    counts = week.memory.outbox.counts().values()
    assert sum(each.delivered for each in counts) == len(wanted)
    assert sum(each.queued + each.refused + each.lost for each in counts) == 0
    assert list((week.site.folder / "spool").iterdir()) == []
