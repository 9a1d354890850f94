"""Resumable uploads (tus 1.0.0), and what is taken in of them."""

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tusclient.client import TusClient

from benchmark.splits import Split
from model_library.wire.images import ImagePurpose

from ..waiting import until
from .conftest import TUS, Coordinator, Instrument, acquisition, declaration, enrol


@pytest.fixture(scope="module")
def instrument(coordinator: Coordinator) -> Instrument:
    return enrol(coordinator, "uploader")


def offset_of(instrument: Instrument, location: str) -> int:
    return int(instrument.client.head(location, headers=TUS).headers["upload-offset"])


def images_of(instrument: Instrument) -> list[dict[str, object]]:
    campaigns = instrument.coordinator.overview()["campaigns"]
    return next(each["images"] for each in campaigns if each["instrument"] == instrument.id)


def test_the_server_tells_what_it_understands(instrument: Instrument) -> None:
    answer = instrument.client.options("/v1/uploads")
    assert answer.status_code == 204
    assert answer.headers["tus-extension"] == "creation,checksum,termination,expiration"
    assert answer.headers["tus-max-size"] == str(256 * 1024 * 1024)


def test_an_image_arrives_whole_and_gets_its_split(instrument: Instrument) -> None:
    content = acquisition(10, field_name="A1")
    assert instrument.deliver(content, 10).status_code == 204
    image = next(each for each in images_of(instrument) if each["sequence"] == 10)
    assert image["field"] == "stage:A1"
    assert image["split"] in set(Split)
    assert image["sha256"] == hashlib.sha256(content).hexdigest()
    stored = instrument.coordinator.data / "objects" / str(image["sha256"])[:2] / str(image["sha256"])
    assert stored.read_bytes() == content


def test_images_of_one_field_fall_into_one_split(instrument: Instrument) -> None:
    for sequence in (20, 21, 22):
        assert instrument.deliver(acquisition(sequence, field_name="B7"), sequence).status_code == 204
    splits = {each["split"] for each in images_of(instrument) if each["field"] == "stage:B7"}
    assert len(splits) == 1


def test_an_interrupted_upload_resumes_with_a_foreign_client(
    instrument: Instrument, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(instrument.coordinator.data / "tls" / "ca.pem"))
    content = acquisition(30)
    file = tmp_path / "frame.tif"
    file.write_bytes(content)
    told = declaration(content, 30).model_dump_json()
    client = TusClient(
        f"{instrument.coordinator.url}/v1/uploads", headers=dict(instrument.client.headers.items())
    )
    with file.open("rb") as stream:
        begun = client.uploader(file_stream=stream, chunk_size=4000, metadata={"declaration": told})
        begun.upload_chunk()
        assert 0 < begun.offset < len(content)
    with file.open("rb") as stream:
        resumed = client.uploader(file_stream=stream, chunk_size=4000, url=begun.url)
        assert resumed.offset == begun.offset
        resumed.upload()
    assert resumed.offset == len(content)
    assert any(each["sequence"] == 30 for each in images_of(instrument))


def test_a_cut_link_keeps_what_was_durable(instrument: Instrument) -> None:
    content = acquisition(35)
    location = instrument.declare(declaration(content, 35)).headers["location"]

    def half() -> Iterator[bytes]:
        yield content[:9000]
        until(lambda: offset_of(instrument, location) == 9000)
        raise ConnectionError("the link is cut")

    with pytest.raises(ConnectionError):
        instrument.send(location, 0, half(), **{"Content-Length": str(len(content))})
    offset = offset_of(instrument, location)
    assert offset >= 9000
    assert instrument.send(location, offset, content[offset:]).status_code == 204


def test_a_wrong_checksum_is_460_and_keeps_nothing(instrument: Instrument) -> None:
    content = acquisition(40)
    location = instrument.declare(declaration(content, 40)).headers["location"]
    wrong = base64.b64encode(hashlib.sha256(b"other").digest()).decode()
    right = base64.b64encode(hashlib.sha256(content).digest()).decode()
    assert instrument.send(location, 0, content, **{"Upload-Checksum": f"sha256 {wrong}"}).status_code == 460
    assert offset_of(instrument, location) == 0
    assert instrument.send(location, 0, content, **{"Upload-Checksum": "md5 xx"}).status_code == 400
    assert instrument.send(location, 0, content, **{"Upload-Checksum": f"sha256 {right}"}).status_code == 204


def test_the_same_bytes_are_not_sent_twice(instrument: Instrument) -> None:
    content = acquisition(50, field_name="C")
    assert instrument.deliver(content, 50).status_code == 204
    again = instrument.declare(declaration(content, 50, ImagePurpose.BENCHMARK)).headers["location"]
    assert offset_of(instrument, again) == len(content)
    purposes = [each["purpose"] for each in images_of(instrument) if each["sequence"] == 50]
    assert sorted(purposes) == ["benchmark_images", "first_images"]


def test_bytes_that_another_instrument_sent_must_be_sent_all_the_same(
    coordinator: Coordinator, instrument: Instrument
) -> None:
    content = acquisition(51)
    assert instrument.deliver(content, 51).status_code == 204
    stranger = enrol(coordinator, "stranger")
    location = stranger.declare(declaration(content, 51)).headers["location"]
    assert offset_of(stranger, location) == 0
    assert stranger.send(location, 0, content).status_code == 204


def test_one_name_is_one_upload(instrument: Instrument) -> None:
    content = acquisition(60)
    first = instrument.declare(declaration(content, 60)).headers["location"]
    assert instrument.declare(declaration(content, 60)).headers["location"] == first
    assert instrument.declare(declaration(acquisition(61), 60)).status_code == 409


def refused(instrument: Instrument, content: bytes, sequence: int, **changes: object) -> str:
    told = declaration(content, sequence, **changes)
    location = instrument.declare(told).headers["location"]
    answer = instrument.send(location, 0, content)
    assert answer.status_code == 422, answer.text
    head = instrument.client.head(location, headers=TUS)
    assert head.headers["synoptic-refused"]
    assert instrument.send(location, len(content), b"").status_code == 422
    return str(answer.json()["error"]["message"])


def test_bytes_with_another_digest_are_refused_with_a_reason(instrument: Instrument) -> None:
    message = refused(instrument, acquisition(70), 70, sha256="a" * 64)
    assert "SHA-256" in message


@pytest.mark.parametrize(
    ("sequence", "content"),
    [(71, acquisition(71)[:3000]), (72, b"no image at all, only text"), (73, b"II*\x00\xff\xff\xff\xff")],
)
def test_files_that_are_no_images_are_refused_with_a_reason(
    instrument: Instrument, sequence: int, content: bytes
) -> None:
    assert "expected" in refused(instrument, content, sequence)


def test_protocol_errors_are_told_apart(instrument: Instrument) -> None:
    content = acquisition(80)
    location = instrument.declare(declaration(content, 80)).headers["location"]
    send = instrument.client.patch
    good = {**TUS, "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}

    def status(**changes: str) -> int:
        return send(location, headers={**good, **changes}, content=content).status_code

    assert status(**{"Tus-Resumable": "0.2.2"}) == 412
    assert status(**{"Content-Type": "application/json"}) == 415
    assert status(**{"Upload-Offset": "5"}) == 409
    assert status(**{"Upload-Offset": "-1"}) == 400
    assert send(location, headers=good, content=content + b"x").status_code == 413
    assert offset_of(instrument, location) == 0


def test_sizes_are_bounded_before_a_byte_is_sent(instrument: Instrument) -> None:
    told = declaration(b"x", 81, bytes=1 << 40)
    assert instrument.declare(told).status_code == 413


def test_an_upload_can_be_ended_and_declared_anew(instrument: Instrument) -> None:
    content = acquisition(82)
    location = instrument.declare(declaration(content, 82)).headers["location"]
    instrument.send(location, 0, content[:100])
    assert instrument.client.delete(location, headers=TUS).status_code == 204
    assert instrument.client.head(location, headers=TUS).status_code == 404
    part = instrument.coordinator.data / "uploads" / location.rpartition("/")[2]
    assert not part.exists()
    assert instrument.declare(declaration(content, 82)).headers["location"] != location


def test_nothing_of_an_unauthenticated_body_is_written(
    coordinator: Coordinator, instrument: Instrument
) -> None:
    content = acquisition(83)
    location = instrument.declare(declaration(content, 83)).headers["location"]
    with coordinator.client("nonsense") as client:
        headers = {**TUS, "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
        answer: httpx.Response = client.patch(location, headers=headers, content=content)
    assert answer.status_code == 401
    assert not (coordinator.data / "uploads" / location.rpartition("/")[2]).exists()
