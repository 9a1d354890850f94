"""What is to be sent is kept although the microscope's folder is emptied, and takes no more than it may."""

import errno
import shutil
from pathlib import Path

import pytest

from model_library.signing.digests import sha256_file
from model_library.wire.orders import ImageRequest, Orders
from site_client.frames import Header, Stamp
from site_client.spool import Spool


def accept(site, number: int) -> Path:
    path = site.acquire(number)
    stamp = Stamp(path.stat().st_size, path.stat().st_mtime_ns)
    site.ledger.accept(
        path.name, stamp, Header(sha256_file(path), 4, 4.0, None), now=0, exists=lambda _: True
    )
    return path


def queue(site, count: int) -> None:
    first = ImageRequest(campaign=1, from_sequence=1, count=count)
    site.outbox.follow(Orders(first_images=(first,), every_n=1000), now=0)


@pytest.fixture
def spool(site) -> Spool:
    return Spool(site.folder / "spool", site.settings.acquisitions, site.outbox, 1 << 30)


@pytest.fixture(params=["linked", "copied"])
def either_way(request, monkeypatch) -> str:
    if request.param == "copied":

        def refuse(self, target):
            raise OSError(errno.EXDEV, "another file system")

        monkeypatch.setattr(Path, "hardlink_to", refuse)
    return request.param


def test_an_image_survives_the_folder_being_emptied(site, spool, either_way):
    digest = sha256_file(accept(site, 1))
    queue(site, 1)
    spool.fill()
    shutil.rmtree(site.settings.acquisitions)
    [item] = site.outbox.queued(after=0)
    assert sha256_file(spool.ready(item)[1]) == digest
    site.outbox.delivered(item, now=0)
    spool.drop(item)
    assert list((site.folder / "spool").iterdir()) == []


def test_what_a_crash_left_behind_is_swept(site, spool):
    accept(site, 1)
    queue(site, 1)
    spool.fill()
    (site.folder / "spool" / "9-abc.partial").write_bytes(b"half")
    again = Spool(site.folder / "spool", site.settings.acquisitions, site.outbox, 1 << 30)
    again.fill()
    assert [path.name.split("-")[0] for path in (site.folder / "spool").iterdir()] == ["1"]


def test_the_quota_holds_and_what_is_beyond_is_sent_from_where_it_is(site, either_way):
    paths = [accept(site, number) for number in range(1, 6)]
    room = paths[0].stat().st_size * 5 // 2
    spool = Spool(site.folder / "spool", site.settings.acquisitions, site.outbox, room)
    queue(site, 5)
    spool.fill()
    kept = list((site.folder / "spool").iterdir())
    assert len(kept) == (2 if either_way == "copied" else 5)
    assert sum(path.stat().st_size for path in kept if path.stat().st_nlink == 1) <= room
    assert all(spool.ready(item)[1].exists() for item in site.outbox.queued(after=0))


def test_links_to_deleted_files_count_against_the_quota(site):
    paths = [accept(site, number) for number in range(1, 4)]
    spool = Spool(
        site.folder / "spool", site.settings.acquisitions, site.outbox, paths[0].stat().st_size * 5 // 2
    )
    queue(site, 2)
    spool.fill()
    for path in paths[:2]:
        path.unlink()
    queue(site, 3)
    spool.fill()
    assert len(list((site.folder / "spool").iterdir())) == 2


def test_a_file_that_is_gone_already_is_no_reason_to_stop(site, spool):
    accept(site, 1).unlink()
    accept(site, 2)
    queue(site, 2)
    spool.fill()
    assert len(list((site.folder / "spool").iterdir())) == 1


def test_a_site_that_was_offline_sends_what_was_deleted_meanwhile(enrolled, coordinator, start_daemon, until):
    coordinator.down = True
    enrolled.journal.remember(
        "orders",
        Orders(
            first_images=(ImageRequest(campaign=1, from_sequence=1, count=2),), every_n=2
        ).model_dump_json(),
    )
    start_daemon()
    for number in (1, 2):
        enrolled.acquire(number)
    until(lambda: len(list((enrolled.folder / "spool").glob("*"))) == 3, 60)
    for path in enrolled.settings.acquisitions.iterdir():
        path.unlink()
    coordinator.down = False
    until(lambda: coordinator.delivered("first_images") == [1, 2], 60)
    until(lambda: coordinator.delivered("benchmark_images") == [2], 60)
