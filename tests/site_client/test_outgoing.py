"""What leaves a site under a policy: the same bytes every time, listed, never more than it says."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from model_library.errors import ChildDied, ChildRefused
from model_library.images.frame import Frame
from model_library.images.readers import read_frame
from model_library.images.writers import encode_acquisition
from model_library.signing.digests import sha256_bytes, sha256_file
from model_library.wire.images import AcquisitionFacts
from model_library.wire.orders import ImageRequest, Orders
from site_client.coordinator_client import CoordinatorClient
from site_client.errors import SourceChanged
from site_client.frames import Header, Stamp
from site_client.identity import read_identity
from site_client.outgoing import make, reduced
from site_client.send_policy import Make, SendPolicy
from site_client.sent import read_sent
from site_client.settings import FILE_NAME, read_settings, write_settings
from site_client.spool import Spool
from site_client.upload import Uploader

POLICY = SendPolicy(crop_px=256, bits=8)


def frame(dtype: type = np.uint16, shape: tuple[int, int] = (300, 331), seed: int = 0) -> Frame:
    pixels = np.random.default_rng(seed).poisson(9000 if dtype is np.uint16 else 100, shape).astype(dtype)
    return Frame(pixels, pixel_size_nm=4.0, field="a", metadata={"operator": "somebody", "beam_kv": "200"})


def acquired(site, number: int = 1) -> Path:
    path = site.acquire(number, encode_acquisition(frame(seed=number)))
    stamp = Stamp(path.stat().st_size, path.stat().st_mtime_ns)
    header = Header(sha256_file(path), 300 * 331, 4.0, "a", AcquisitionFacts(beam_kv=200))
    site.ledger.accept(path.name, stamp, header, now=0, exists=lambda _: True)
    first = ImageRequest(campaign=1, from_sequence=1, count=number)
    site.outbox.follow(Orders(first_images=(first,), every_n=1000), now=0)
    return path


def spool_of(site, policy: SendPolicy = POLICY) -> Spool:
    return Spool(
        site.folder / "spool",
        site.settings.acquisitions,
        site.outbox,
        1 << 30,
        policy=policy,
        make=lambda source, target, sha256: make(source, target, sha256, policy),
    )


@given(crop=st.integers(256, 400), bits=st.integers(8, 15))
def test_the_middle_and_the_upper_bits_remain(crop: int, bits: int) -> None:
    whole = frame()
    found = reduced(whole, SendPolicy(crop_px=crop, bits=bits))
    rows, columns = (min(side, crop) for side in whole.pixels.shape)
    top, left = (300 - rows) // 2, (331 - columns) // 2
    expected = whole.pixels[top : top + rows, left : left + columns] // 2 ** (16 - bits)
    np.testing.assert_array_equal(found.pixels, expected)
    assert found.pixels.dtype == (np.uint8 if bits == 8 else np.uint16)
    assert (found.pixel_size_nm, found.field, found.metadata) == (4.0, "a", {})


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_other_numbers_keep_theirs(dtype: type) -> None:
    found = reduced(frame(dtype), SendPolicy(bits=8))
    np.testing.assert_array_equal(found.pixels, frame(dtype).pixels)


def test_the_same_bytes_every_time_and_only_of_the_file_that_was_accepted(tmp_path: Path) -> None:
    source = tmp_path / "scan.tif"
    source.write_bytes(encode_acquisition(frame()))
    digest = sha256_file(source)
    first = make(source, tmp_path / "a.tif", digest, POLICY)
    assert make(source, tmp_path / "b.tif", digest, POLICY) == first
    assert sha256_file(tmp_path / "a.tif") == sha256_file(tmp_path / "b.tif") == first.sha256
    assert first.bytes == (tmp_path / "a.tif").stat().st_size
    assert b"somebody" not in (tmp_path / "a.tif").read_bytes()
    source.write_bytes(encode_acquisition(frame(seed=2)))
    with pytest.raises(SourceChanged, match="accepted"):
        make(source, tmp_path / "c.tif", digest, POLICY)
    assert not (tmp_path / "c.tif").exists()


def test_it_is_made_when_it_is_queued_and_outlives_the_acquired_file(site) -> None:
    path = acquired(site)
    spool = spool_of(site)
    spool.fill()
    path.unlink()
    [item] = site.outbox.queued(after=0)
    item, made = spool.ready(item)
    assert read_frame(made).pixels.shape == (256, 256)
    told = item.declaration
    assert (told.sha256, told.bytes) == (sha256_file(made), made.stat().st_size)
    assert told.file_name == "frame-001.ome.tif"
    assert told.acquisition == AcquisitionFacts(beam_kv=200)
    spool.drop(item)
    assert list((site.folder / "spool").iterdir()) == []


def test_what_waits_follows_a_policy_that_came_later_but_a_begun_upload_is_finished(site) -> None:
    path = acquired(site)
    plain = spool_of(site, SendPolicy())
    plain.fill()
    [item] = site.outbox.queued(after=0)
    assert item.declaration.sha256 == sha256_file(path)
    strict = spool_of(site)
    item, made = strict.ready(item)
    assert (item.policy, made.suffix) == ("the middle 256 px, 8 bits", ".tif")
    assert site.outbox.queued(after=0) == (item,)
    item, back = plain.ready(item)
    assert (item.policy, item.declaration.sha256) == (None, sha256_file(path))
    assert sha256_file(back) == sha256_file(path)
    site.outbox.locate(item, "/v1/uploads/1")
    [item] = site.outbox.queued(after=0)
    assert strict.ready(item) == (item, back)


@pytest.mark.parametrize("failure", [ChildDied("killed"), OSError("no space")])
def test_what_cannot_be_made_now_waits_and_never_leaves_as_it_is(site, failure: Exception) -> None:
    acquired(site)

    def fail(source: Path, target: Path, sha256: str):
        raise failure

    spool = Spool(
        site.folder / "spool", site.settings.acquisitions, site.outbox, 1 << 30, policy=POLICY, make=fail
    )
    spool.fill()
    [item] = site.outbox.queued(after=0)
    with pytest.raises(type(failure)):
        spool.ready(item)


def test_settings_keep_the_policy_and_refuse_what_no_campaign_could_use(site) -> None:
    changed = site.settings.model_copy(update={"send_crop_px": 512, "send_bits": 12})
    (site.folder / FILE_NAME).write_text(write_settings(changed))
    assert read_settings(site.folder).send_policy == SendPolicy(crop_px=512, bits=12)
    assert site.settings.send_policy.is_plain
    for wrong in ({"crop_px": 64}, {"bits": 16}, {"bits": 4}):
        with pytest.raises(ValidationError):
            SendPolicy(**wrong)


def test_the_daemon_sends_what_the_policy_makes_and_lists_it(
    enrolled, coordinator, start_daemon, until
) -> None:
    changed = enrolled.settings.model_copy(update={"send_crop_px": 256, "send_bits": 8})
    (enrolled.folder / FILE_NAME).write_text(write_settings(changed))
    process = start_daemon()
    for number in range(1, 5):
        enrolled.acquire(number, encode_acquisition(frame(seed=number)))
    until(lambda: coordinator.delivered("first_images") == [1, 2, 3], 60)
    until(lambda: coordinator.delivered("benchmark_images") == [2, 4], 60)
    until(lambda: len(read_sent(enrolled.folder).images) == 5)
    process.terminate()
    process.wait(timeout=20)
    for upload in coordinator.uploads:
        told = upload["declaration"]
        assert sha256_bytes(upload["content"]) == told["sha256"]
        expected = reduced(frame(seed=told["sequence"]), POLICY)
        assert upload["content"] == encode_acquisition(expected)
        assert told["acquisition"]["beam_kv"] == 200
    for image in read_sent(enrolled.folder).images:
        assert image.made == "the middle 256 px, 8 bits"
        assert image.acquired_sha256 == sha256_file(enrolled.settings.acquisitions / image.path)
        assert image.sha256 != image.acquired_sha256
    assert list((enrolled.folder / "spool").iterdir()) == []


@contextmanager
def uploading(site, make: Make) -> Iterator[Uploader]:
    spool = Spool(
        site.folder / "spool", site.settings.acquisitions, site.outbox, 1 << 30, policy=POLICY, make=make
    )
    client = CoordinatorClient(site.settings, read_identity(site.folder), lambda kind, count: None)
    yield Uploader(client, site.outbox, spool, lambda: 0.0)
    client.close()


def test_a_refusal_to_make_gives_the_image_up_with_its_reason(enrolled, coordinator) -> None:
    acquired(enrolled)

    def refuse(source: Path, target: Path, sha256: str):
        raise ChildRefused("SourceChanged", "expected the accepted file, found another")

    with uploading(enrolled, refuse) as uploader:
        assert uploader.send_next()
    assert enrolled.outbox.queued(after=0) == ()
    assert "found another" in enrolled.outbox.troubles()[0]
    assert coordinator.uploads == []


def test_a_full_disk_gives_nothing_up(enrolled, coordinator) -> None:
    acquired(enrolled)

    def full(source: Path, target: Path, sha256: str):
        raise ChildRefused("OSError", "no space left on device")

    with uploading(enrolled, full) as uploader:
        assert uploader.send_next()
    assert len(enrolled.outbox.queued(after=0)) == 1
    assert coordinator.uploads == []
