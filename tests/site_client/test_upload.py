"""Images reach the coordinator whole and once, over a link and a server that fail."""

import os
import time
from collections.abc import Iterator

import httpx
import pytest

from model_library.signing.digests import sha256_file
from model_library.wire.images import ImagePurpose
from model_library.wire.orders import ImageRequest, Orders
from site_client.coordinator_client import CoordinatorClient
from site_client.errors import CoordinatorRefused, CoordinatorUnreachable, EnrolmentError
from site_client.frames import Header, Stamp
from site_client.identity import enrol, read_identity
from site_client.journal import BytesKind
from site_client.settings import read_settings
from site_client.spool import Spool
from site_client.upload import Uploader


@pytest.fixture
def client(enrolled) -> Iterator[CoordinatorClient]:
    client = CoordinatorClient(
        enrolled.settings, read_identity(enrolled.folder), enrolled.journal.count_bytes
    )
    yield client
    client.close()


@pytest.fixture
def uploader(enrolled, client) -> Uploader:
    spool = Spool(enrolled.folder / "spool", enrolled.settings.acquisitions, enrolled.outbox, 1 << 30)
    return Uploader(client, enrolled.outbox, spool, time.time)


def accept(site, number: int, content: bytes | None = None) -> None:
    path = site.acquire(number, content)
    stamp = Stamp(path.stat().st_size, path.stat().st_mtime_ns)
    header = Header(sha256_file(path), 4, 4.0, "field-1")
    site.ledger.accept(path.name, stamp, header, now=0, exists=lambda _: True)


def orders(first: int, every_n: int) -> Orders:
    return Orders(first_images=(ImageRequest(campaign=1, from_sequence=1, count=first),), every_n=every_n)


def drain(uploader: Uploader) -> int:
    sent = 0
    while uploader.send_next():
        sent += 1
    return sent


def test_enrolment_writes_an_identity_and_settings_that_read_back(enrolled) -> None:
    assert read_settings(enrolled.folder) == enrolled.settings
    assert read_identity(enrolled.folder).instrument_id == "instrument-1"
    assert (enrolled.folder / "identity" / "instrument.key").stat().st_mode & 0o077 == 0


def test_a_second_enrolment_is_refused(enrolled, coordinator) -> None:
    with pytest.raises(EnrolmentError, match="found one in"):
        enrol(enrolled.folder, enrolled.settings, coordinator.enrolment_token)


def test_a_server_that_the_token_does_not_name_is_refused(site, coordinator) -> None:
    with pytest.raises(EnrolmentError, match="fingerprint"):
        enrol(site.folder, site.settings, "secret." + 32 * "0")
    assert not (site.folder / "identity" / "instrument.json").exists()


def test_a_server_with_another_certificate_authority_gets_nothing(enrolled, tmp_path) -> None:
    from datetime import UTC, datetime

    from model_library.signing.certificates import create_ca

    (enrolled.folder / "identity" / "ca.pem").write_bytes(create_ca(datetime.now(UTC)).certificate_pem)
    client = CoordinatorClient(
        enrolled.settings, read_identity(enrolled.folder), enrolled.journal.count_bytes
    )
    with pytest.raises(CoordinatorUnreachable, match="certificate"):
        client.call("POST", "/v1/heartbeat")
    client.close()


def test_first_images_go_before_benchmark_images_and_each_once(enrolled, uploader, coordinator) -> None:
    for number in range(1, 7):
        accept(enrolled, number)
    enrolled.outbox.follow(orders(first=3, every_n=2), now=0)
    assert drain(uploader) == 6
    order = [upload["declaration"]["purpose"] for upload in coordinator.uploads]
    assert order == 3 * ["first_images"] + 3 * ["benchmark_images"]
    assert coordinator.delivered("first_images") == [1, 2, 3]
    assert coordinator.delivered("benchmark_images") == [2, 4, 6]
    assert enrolled.ledger.counts().returned == 3


def test_every_campaign_gets_the_frames_that_it_asks_for_and_no_other(
    enrolled, uploader, coordinator
) -> None:
    first = ImageRequest(campaign=1, from_sequence=1, count=2)
    second = ImageRequest(campaign=2, from_sequence=5, count=3)
    for number in range(1, 7):
        accept(enrolled, number)
    enrolled.outbox.follow(Orders(first_images=(first, second), every_n=99), now=0)
    drain(uploader)
    assert coordinator.delivered("first_images") == [1, 2, 5, 6]
    accept(enrolled, 7)
    accept(enrolled, 8)
    enrolled.outbox.follow(Orders(first_images=(first, second), every_n=99), now=0)
    drain(uploader)
    assert coordinator.delivered("first_images") == [1, 2, 5, 6, 7]


def test_an_image_that_the_coordinator_has_already_costs_no_bytes(enrolled, uploader, coordinator) -> None:
    for number in (1, 2):
        accept(enrolled, number)
    enrolled.outbox.follow(orders(first=2, every_n=2), now=0)
    drain(uploader)
    sizes = [enrolled.settings.acquisitions.joinpath(f"frame-00{n}.tif").stat().st_size for n in (1, 2)]
    bytes_out = enrolled.journal.bytes_out()
    assert bytes_out[BytesKind.FIRST_IMAGES] == sum(sizes)
    assert bytes_out[BytesKind.BENCHMARK_IMAGES] == bytes_out[BytesKind.UPDATES] == 0
    assert bytes_out[BytesKind.CONTROL] > 0
    assert coordinator.delivered("benchmark_images") == [2]


def test_an_upload_resumes_at_the_offset_where_the_link_broke(
    enrolled, uploader, coordinator, frame_of
) -> None:
    content = frame_of(1, (1100, 1100))
    accept(enrolled, 1, content)
    enrolled.outbox.follow(orders(first=1, every_n=9), now=0)
    coordinator.drop_patches = {2}
    with pytest.raises(CoordinatorUnreachable):
        uploader.send_next()
    assert enrolled.outbox.counts()[ImagePurpose.FIRST].queued == 1
    assert drain(uploader) == 1
    assert bytes(coordinator.uploads[0]["content"]) == content
    sent = enrolled.journal.bytes_out()[BytesKind.FIRST_IMAGES]
    assert sent == len(content) + (1 << 20)  # the chunk that was lost is the only one sent twice


def test_an_upload_that_expired_is_declared_anew(enrolled, uploader, coordinator) -> None:
    accept(enrolled, 1)
    enrolled.outbox.follow(orders(first=1, every_n=9), now=0)
    coordinator.drop_patches = {1}
    with pytest.raises(CoordinatorUnreachable):
        uploader.send_next()
    coordinator.expired = True
    drain(uploader)
    assert coordinator.delivered("first_images") == [1]


def test_an_image_that_is_refused_is_not_sent_again_and_says_why(enrolled, uploader, coordinator) -> None:
    accept(enrolled, 1)
    accept(enrolled, 2)
    coordinator.refuse["frame-001.tif"] = "blank"
    enrolled.outbox.follow(orders(first=2, every_n=9), now=0)
    drain(uploader)
    assert coordinator.delivered("first_images") == [2]
    assert enrolled.outbox.troubles() == ("first_images 1 refused: blank",)


def test_a_file_that_changed_since_is_lost_and_one_that_is_gone_waits(enrolled, uploader) -> None:
    accept(enrolled, 1)
    accept(enrolled, 2)
    enrolled.outbox.follow(orders(first=2, every_n=9), now=0)
    enrolled.acquire(1, b"other")
    (enrolled.settings.acquisitions / "frame-002.tif").unlink()
    drain(uploader)
    counts = enrolled.outbox.counts()[ImagePurpose.FIRST]
    assert (counts.lost, counts.queued) == (1, 1)


def test_a_token_that_is_no_longer_valid_is_renewed(enrolled, client, coordinator) -> None:
    client.call("POST", "/v1/heartbeat", content=b"{}")
    coordinator.tokens += 1
    client.call("POST", "/v1/heartbeat", content=b"{}")
    assert coordinator.tokens == 3


def test_a_coordinator_that_is_down_is_told_from_one_that_refuses(enrolled, client, coordinator) -> None:
    with pytest.raises(CoordinatorRefused) as refusal:
        list(client.download(f"{client.releases_url}/metadata/none.json"))
    assert refusal.value.status == httpx.codes.NOT_FOUND
    coordinator.down = True
    with pytest.raises(CoordinatorUnreachable):
        client.call("POST", "/v1/heartbeat", content=b"{}")


def test_a_file_that_shrinks_while_it_is_sent_is_given_up(enrolled, client) -> None:
    accept(enrolled, 1, os.urandom(3 << 20))
    spool = Spool(enrolled.folder / "spool", enrolled.settings.acquisitions, enrolled.outbox, 1 << 30)
    path = enrolled.settings.acquisitions / "frame-001.tif"
    uploader = Uploader(client, enrolled.outbox, spool, time.time, pace=lambda _: os.truncate(path, 1 << 20))
    enrolled.outbox.follow(orders(first=1, every_n=99), now=0)
    assert drain(uploader) == 1
    [trouble] = enrolled.outbox.troubles()
    assert "lost: frame-001.tif became shorter while it was sent" in trouble
