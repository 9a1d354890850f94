"""What is written is read back: acquisitions, results and their provenance."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from model_library.errors import NonFinitePixels, NotAnImage, UnsupportedImage
from model_library.images.durable import TEMPORARY_SUFFIX
from model_library.images.frame import Frame
from model_library.images.readers import read_frame, read_provenance
from model_library.images.writers import encode_acquisition, write_result

SHARED_FOLDER = settings(
    derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
SHAPES = arrays.array_shapes(min_dims=2, max_dims=2, max_side=33)
PIXELS = st.one_of(
    arrays.arrays(np.uint8, SHAPES),
    arrays.arrays(np.uint16, SHAPES),
    arrays.arrays(np.float32, SHAPES, elements=st.floats(-1e6, 1e6, width=32)),
)
SIZES = st.none() | st.floats(1e-3, 1e4)
TEXT = st.text(st.characters(min_codepoint=32, exclude_categories=["Cs", "Cc"], exclude_characters="￾￿"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@SHARED_FOLDER
@given(PIXELS, SIZES, st.none() | TEXT.filter(bool), st.dictionaries(TEXT.filter(bool), TEXT, max_size=3))
def test_an_acquisition_is_read_as_it_was_encoded(tmp_path, pixels, size, field, metadata):
    path = tmp_path / "frame.tif"
    path.write_bytes(encode_acquisition(Frame(pixels, size, field, metadata)))
    frame = read_frame(path)
    assert frame.pixels.dtype == pixels.dtype
    assert np.array_equal(frame.pixels, pixels)
    assert (frame.pixel_size_nm, frame.field, frame.metadata) == (size, field, metadata)


@SHARED_FOLDER
@given(PIXELS, SIZES, st.dictionaries(TEXT.filter(bool), JSON, max_size=4))
def test_a_result_gives_back_its_provenance(tmp_path, pixels, size, provenance):
    path = tmp_path / "result.tif"
    write_result(path, pixels, pixel_size_nm=size, provenance=provenance)
    assert read_provenance(path) == json.loads(json.dumps(provenance))
    frame = read_frame(path)
    assert np.array_equal(frame.pixels, pixels)
    assert frame.pixel_size_nm == size
    assert [file.name for file in tmp_path.glob(f"*{TEMPORARY_SUFFIX}")] == []


def test_a_refused_result_leaves_the_earlier_one_and_no_rest(tmp_path):
    path = tmp_path / "result.tif"
    write_result(path, np.ones((4, 4), np.uint8), pixel_size_nm=1.0, provenance={"network": "a"})
    before = path.read_bytes()
    with pytest.raises(NonFinitePixels):
        write_result(path, np.full((4, 4), np.nan, np.float32), pixel_size_nm=1.0, provenance={})
    with pytest.raises(UnsupportedImage):
        write_result(path, np.ones((4, 4), np.uint8), pixel_size_nm=1.0, provenance={"a\0b": 1})
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["result.tif"]


@pytest.mark.parametrize(
    "pixels", [np.ones((4, 4, 3), np.uint8), np.ones((4, 4)), np.ones((0, 4), np.uint8), np.ones(4, np.uint8)]
)
def test_only_one_grey_image_is_written(tmp_path, pixels):
    with pytest.raises(UnsupportedImage, match=r"\[Y, X\]"):
        write_result(tmp_path / "x.tif", pixels, pixel_size_nm=None, provenance={})


def test_an_acquisition_has_no_provenance(tmp_path):
    path = tmp_path / "frame.tif"
    path.write_bytes(encode_acquisition(Frame(np.ones((4, 4), np.uint8), 2.0, "A1", {"dose": "3"})))
    with pytest.raises(NotAnImage, match="expected provenance"):
        read_provenance(path)
