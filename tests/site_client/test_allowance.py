"""What may leave is the owner's to say: a coordinator that asks for everything gets what is allowed."""

import pytest

from model_library.signing.digests import sha256_file
from model_library.wire.images import ImagePurpose
from model_library.wire.orders import ImageRequest, Orders
from site_client.allowance import DAY_S, ImageAllowance
from site_client.coordinator_client import CoordinatorClient
from site_client.frames import Header, Stamp
from site_client.identity import read_identity
from site_client.spool import Spool
from site_client.upload import Uploader

FRAMES = 12
GREEDY = Orders(first_images=(ImageRequest(campaign=1, from_sequence=1, count=200),), every_n=1)
FIRST, BENCHMARK = ImagePurpose.FIRST, ImagePurpose.BENCHMARK

POLICIES = {
    "no limit": ({}, {FIRST: FRAMES, BENCHMARK: FRAMES}),
    "no first images": ({"most_first_images_per_day": 0}, {FIRST: 0, BENCHMARK: FRAMES}),
    "no benchmark images": ({"most_benchmark_images_per_day": 0}, {FIRST: FRAMES, BENCHMARK: 0}),
    "no image at all": (
        {"most_first_images_per_day": 0, "most_benchmark_images_per_day": 0},
        {FIRST: 0, BENCHMARK: 0},
    ),
    "few of each": (
        {"most_first_images_per_day": 5, "most_benchmark_images_per_day": 2},
        {FIRST: 5, BENCHMARK: 2},
    ),
}


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def uploader_of(enrolled):
    for number in range(FRAMES):
        path = enrolled.acquire(number)
        stat = path.stat()
        enrolled.ledger.accept(
            path.name,
            Stamp(stat.st_size, stat.st_mtime_ns),
            Header(sha256_file(path), 48 * 64, None, None),
            now=0,
            exists=lambda _: True,
        )
    client = CoordinatorClient(
        enrolled.settings, read_identity(enrolled.folder), enrolled.journal.count_bytes
    )

    def make(clock, **limits: int) -> tuple[ImageAllowance, Uploader]:
        settings = enrolled.settings.model_copy(update=limits)
        allowance = ImageAllowance(enrolled.journal, settings, clock)
        spool = Spool(enrolled.folder / "spool", settings.acquisitions, enrolled.outbox, 1 << 30)
        return allowance, Uploader(client, enrolled.outbox, spool, clock, allowance=allowance)

    yield make
    client.close()


def left(coordinator) -> dict[ImagePurpose, int]:
    begun = [upload["declaration"]["purpose"] for upload in coordinator.uploads if upload["content"]]
    return {purpose: begun.count(purpose.value) for purpose in ImagePurpose}


@pytest.mark.parametrize(("limits", "expected"), POLICIES.values(), ids=POLICIES.keys())
def test_a_greedy_coordinator_gets_what_the_owner_allows(
    uploader_of, enrolled, coordinator, limits, expected
) -> None:
    allowance, uploader = uploader_of(Clock(), **limits)
    enrolled.outbox.follow(GREEDY, now=0, never=allowance.never())
    while uploader.send_next():
        pass
    assert left(coordinator) == expected
    # Restarted, and ordered again, in the same day.
    allowance, uploader = uploader_of(Clock(), **limits)
    enrolled.outbox.follow(GREEDY, now=0, never=allowance.never())
    while uploader.send_next():
        pass
    assert left(coordinator) == expected


def test_images_that_the_coordinator_took_and_then_refused_count_too(
    uploader_of, enrolled, coordinator
) -> None:
    coordinator.refuse = {f"frame-{number:03d}.tif": "not wanted" for number in range(FRAMES)}
    allowance, uploader = uploader_of(Clock(), most_first_images_per_day=3, most_benchmark_images_per_day=0)
    enrolled.outbox.follow(GREEDY, now=0, never=allowance.never())
    while uploader.send_next():
        pass
    assert len(coordinator.uploads) == 3


def test_the_next_day_the_next_ones_leave(uploader_of, enrolled, coordinator) -> None:
    clock = Clock()
    allowance, uploader = uploader_of(clock, most_first_images_per_day=4, most_benchmark_images_per_day=0)
    enrolled.outbox.follow(GREEDY, now=0, never=allowance.never())
    for day in range(1, 4):
        while uploader.send_next():
            pass
        assert left(coordinator)[FIRST] == 4 * day
        clock.now += DAY_S + 1
    sequences = [upload["declaration"]["sequence"] for upload in coordinator.uploads]
    assert sequences == list(range(1, FRAMES + 1))


def test_a_clock_that_is_set_back_frees_nothing(uploader_of, enrolled, coordinator) -> None:
    clock = Clock()
    allowance, uploader = uploader_of(clock, most_first_images_per_day=2, most_benchmark_images_per_day=0)
    enrolled.outbox.follow(GREEDY, now=0, never=allowance.never())
    while uploader.send_next():
        pass
    clock.now -= 10 * DAY_S
    assert not uploader.send_next()
    assert left(coordinator)[FIRST] == 2


def test_an_image_that_was_cut_off_is_resumed_and_counted_once(uploader_of, enrolled, coordinator) -> None:
    allowance, uploader = uploader_of(Clock(), most_first_images_per_day=1, most_benchmark_images_per_day=0)
    enrolled.outbox.follow(GREEDY, now=0, never=allowance.never())
    coordinator.drop_patches = {1}
    with pytest.raises(Exception, match="expected"):
        uploader.send_next()
    while uploader.send_next():
        pass
    assert left(coordinator)[FIRST] == 1
    assert enrolled.outbox.counts()[FIRST].delivered == 1
