"""A growing file is incomplete up to its last byte, and a whole one is complete."""

import struct

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model_library.images.completeness import is_complete
from model_library.images.frame import Frame
from model_library.images.writers import encode_acquisition


def encoded(dtype="uint16", shape=(300, 200)):
    pixels = np.random.default_rng(3).integers(0, 255, shape).astype(dtype)
    return encode_acquisition(Frame(pixels, 4.0, "field-1", {"dose": "12"}))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_every_strip_boundary_but_the_last_is_incomplete(tmp_path, dtype):
    content = encoded(dtype, (700, 500))
    path = tmp_path / "grows.tif"
    path.write_bytes(content)
    with tifffile.TiffFile(path) as tiff:
        ends = [
            sum(strip) for strip in zip(tiff.pages[0].dataoffsets, tiff.pages[0].databytecounts, strict=True)
        ]
    assert len(ends) > 4
    assert ends[-1] == len(content)
    for end in (0, *ends[:-1], len(content) - 1):
        path.write_bytes(content[:end])
        assert not is_complete(path), end
    path.write_bytes(content)
    assert is_complete(path)


CONTENT = encoded(shape=(40, 30))


@settings(derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, len(CONTENT) - 1))
def test_every_proper_prefix_is_incomplete(tmp_path, length):
    path = tmp_path / "grows.tif"
    path.write_bytes(CONTENT[:length])
    assert not is_complete(path)


@pytest.mark.parametrize(
    "options", [{"bigtiff": True}, {"byteorder": ">"}, {"tile": (16, 16)}, {"compression": 8}]
)
def test_other_layouts_are_incomplete_until_their_end(tmp_path, options):
    path = tmp_path / "grows.tif"
    tifffile.imwrite(path, np.arange(64 * 64, dtype=np.uint16).reshape(64, 64), metadata=None, **options)
    content = path.read_bytes()
    assert is_complete(path)
    path.write_bytes(content[:-1])
    assert not is_complete(path)


def test_a_directory_that_is_written_last_is_awaited(tmp_path):
    """Writers in the manner of libtiff: pixels first, then the directory, then its place in the header."""
    path = tmp_path / "grows.tif"
    pixels = bytes(range(16))
    entries = [(256, 4), (257, 4), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1), (278, 4), (279, 16)]
    directory = struct.pack("<H", len(entries))
    directory += b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries) + struct.pack(
        "<I", 0
    )
    path.write_bytes(struct.pack("<2sHI", b"II", 42, 0) + pixels)
    assert not is_complete(path)
    path.write_bytes(struct.pack("<2sHI", b"II", 42, 24) + pixels + directory[:20])
    assert not is_complete(path)
    path.write_bytes(struct.pack("<2sHI", b"II", 42, 24) + pixels + directory)
    assert is_complete(path)


def test_strips_announced_but_not_yet_written_are_awaited(tmp_path):
    path = tmp_path / "grows.tif"
    path.write_bytes(encoded())
    with tifffile.TiffFile(path, mode="r+") as tiff:
        tag = tiff.pages[0].tags["StripByteCounts"]
        tag.overwrite([*tag.value[:-1], 0])
    assert not is_complete(path)


def test_what_is_not_a_tiff_is_left_to_the_reader(tmp_path):
    path = tmp_path / "notes.tif"
    path.write_text("these are my notes of Tuesday")
    assert is_complete(path)
    path.write_bytes(imagecodecs.png_encode(np.ones((8, 8), np.uint8)))
    assert is_complete(path)


def test_a_missing_file_is_incomplete(tmp_path):
    assert not is_complete(tmp_path / "gone.tif")
    assert not is_complete(tmp_path)


@settings(
    derandomize=True,
    deadline=None,
    max_examples=300,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.tuples(st.integers(0, 399), st.integers(0, 255)), max_size=4))
def test_nothing_makes_it_raise(tmp_path, changes):
    content = bytearray(CONTENT)
    for where, value in changes:
        content[where] = value
    path = tmp_path / "mutant.tif"
    path.write_bytes(content)
    assert is_complete(path) in (True, False)
