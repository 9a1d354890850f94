"""A hostile image can hang, exhaust or crash its reader, not the coordinator."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile

from coordinator.errors import Unprocessable
from coordinator.inspection import Inspections
from coordinator.settings import Settings
from model_library.images.frame import Frame
from model_library.images.writers import encode_acquisition
from model_library.signing.digests import sha256_bytes

CONTENT = encode_acquisition(Frame(np.arange(2000, dtype=np.uint16).reshape(40, 50), 3.5, "field-2"))


class Clock:
    """Time that passes when told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def inspections(tmp_path: Path, clock: Clock) -> Iterator[Inspections]:
    made = Inspections(Settings(data=tmp_path, intake_memory_bytes=400 << 20, intake_deadline_s=20), clock)
    yield made
    made.close()


def reader_of(inspections: Inspections, instrument: str) -> int | None:
    """The process that reads for an instrument."""
    found = inspections._inspectors.get(instrument)
    return None if found is None else found.child.pid


def test_a_good_image_says_what_it_is(inspections: Inspections, tmp_path: Path) -> None:
    path = tmp_path / "good.tif"
    path.write_bytes(CONTENT)

    found = inspections.inspect("sem-1", path, "scan.tif")

    assert (found.sha256, found.field, found.pixel_size_nm) == (sha256_bytes(CONTENT), "field-2", 3.5)


def test_refusals_name_the_file_as_the_instrument_does(inspections: Inspections, tmp_path: Path) -> None:
    path = tmp_path / "0123"
    path.write_bytes(CONTENT[:-1])

    with pytest.raises(Unprocessable, match=r"^scan\.tif: expected a strip to end"):
        inspections.inspect("sem-1", path, "scan.tif")


def test_colour_is_not_what_a_site_sends(inspections: Inspections, tmp_path: Path) -> None:
    upload = tmp_path / "4711"
    rgb = np.random.default_rng(0).integers(256, size=(32, 32, 3), dtype=np.uint8)
    tifffile.imwrite(upload, rgb, photometric="rgb", metadata=None)
    with pytest.raises(
        Unprocessable, match=r"^scan\.tif: expected grey, found colour .* sends the luminance"
    ):
        inspections.inspect("i-1", upload, "scan.tif")
    tifffile.imwrite(upload, rgb[..., [0, 0, 0]], photometric="rgb", metadata=None)
    assert inspections.inspect("i-1", upload, "scan.tif").pixel_size_nm is None


def test_a_stack_is_not_what_a_site_sends(inspections: Inspections, tmp_path: Path) -> None:
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, np.zeros((3, 64, 64), np.uint16), photometric="minisblack")

    with pytest.raises(Unprocessable, match=r"^scan\.tif: expected one plane, found 3"):
        inspections.inspect("sem-1", path, "scan.tif")


def test_one_that_swells_beyond_its_memory_is_refused_and_the_next_one_is_read(
    inspections: Inspections, tmp_path: Path
) -> None:
    bomb, good = tmp_path / "bomb.tif", tmp_path / "good.tif"
    tifffile.imwrite(bomb, np.zeros((16384, 16384), np.uint8), compression="zstd", metadata=None)
    good.write_bytes(CONTENT)
    assert bomb.stat().st_size < 1 << 20

    with pytest.raises(Unprocessable, match=r"MemoryError|memory|pixels"):
        inspections.inspect("sem-1", bomb, "bomb.tif")

    assert inspections.inspect("sem-1", good, "good.tif").field == "field-2"


def test_one_that_hangs_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "good.tif"
    path.write_bytes(CONTENT)
    inspections = Inspections(Settings(data=tmp_path, intake_deadline_s=20))
    try:
        inspections.inspect("sem-1", path, "good.tif")
        reader = reader_of(inspections, "sem-1")
        assert reader is not None
        os.kill(reader, signal.SIGSTOP)
        short = Inspections(
            Settings(data=tmp_path, intake_deadline_s=0.2), _inspectors=inspections._inspectors
        )
        with pytest.raises(Unprocessable, match=r"within 0\.2 s"):
            short.inspect("sem-1", path, "good.tif")
        assert inspections.inspect("sem-1", path, "good.tif").field == "field-2"
        assert reader_of(inspections, "sem-1") != reader
    finally:
        inspections.close()


def test_instruments_have_readers_of_their_own_that_end_when_idle(
    inspections: Inspections, clock: Clock, tmp_path: Path
) -> None:
    path = tmp_path / "good.tif"
    path.write_bytes(CONTENT)
    for instrument in ("sem-1", "sem-2", "sem-1"):
        inspections.inspect(instrument, path, "good.tif")
    readers = {reader_of(inspections, each) for each in ("sem-1", "sem-2")}
    assert len(readers) == 2

    clock.now += 20
    inspections.inspect("sem-2", path, "good.tif")
    clock.now += 20
    inspections.rest()

    assert reader_of(inspections, "sem-1") is None
    assert reader_of(inspections, "sem-2") in readers
