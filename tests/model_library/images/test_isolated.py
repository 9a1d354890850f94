"""A hostile image can hang, exhaust or crash its reader, not the process that asked."""

import numpy as np
import pytest
import tifffile

from model_library.errors import NotAnImage, TruncatedImage, UnsupportedImage
from model_library.images.frame import Frame
from model_library.images.isolated import read_isolated
from model_library.images.readers import ReadLimits
from model_library.images.writers import encode_acquisition

FRAME = Frame(np.arange(2000, dtype=np.uint16).reshape(40, 50), 3.5, "field-2", {"dose": "7"})


def test_a_good_image_arrives_as_if_read_here(tmp_path):
    path = tmp_path / "good.tif"
    path.write_bytes(encode_acquisition(FRAME))
    frame = read_isolated(path)
    assert np.array_equal(frame.pixels, FRAME.pixels)
    assert frame.pixels.dtype == FRAME.pixels.dtype
    assert (frame.pixel_size_nm, frame.field, frame.metadata) == (3.5, "field-2", {"dose": "7"})


def test_refusals_keep_their_class_and_words(tmp_path):
    path = tmp_path / "cut.tif"
    path.write_bytes(encode_acquisition(FRAME)[:-1])
    with pytest.raises(TruncatedImage, match=r"^cut\.tif: expected a strip to end"):
        read_isolated(path)
    with pytest.raises(FileNotFoundError):
        read_isolated(tmp_path / "gone.tif")


def test_limits_reach_the_child(tmp_path):
    path = tmp_path / "good.tif"
    path.write_bytes(encode_acquisition(FRAME))
    with pytest.raises(UnsupportedImage, match="40 x 50"):
        read_isolated(path, ReadLimits(max_pixels=100))


def test_one_that_takes_too_long_is_killed(tmp_path):
    path = tmp_path / "slow.tif"
    path.write_bytes(encode_acquisition(FRAME))
    with pytest.raises(NotAnImage, match=r"within 0\.01 s.*killed after that time"):
        read_isolated(path, deadline_s=0.01)


def test_one_that_swells_beyond_its_memory_is_refused(tmp_path):
    path = tmp_path / "bomb.tif"
    tifffile.imwrite(path, np.zeros((16384, 16384), np.uint8), compression="zstd", metadata=None)
    assert path.stat().st_size < 1 << 20
    with pytest.raises(NotAnImage, match=r"MemoryError|killed|memory"):
        read_isolated(path, memory_bytes=300 << 20)
