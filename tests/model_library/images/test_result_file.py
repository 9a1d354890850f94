"""Results written part by part: whole or absent, any axes, readable by anybody."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from model_library.errors import UnsupportedImage
from model_library.images.contents import read_recording
from model_library.images.intensity import Scaling
from model_library.images.mapping import release
from model_library.images.pixel_size import PixelSize
from model_library.images.readers import read_frame, read_provenance
from model_library.images.result_file import ResultFile


def written(path: Path, pixels: np.ndarray, axes: str) -> None:
    with ResultFile(
        path,
        pixels.shape,
        pixels.dtype,
        axes=axes,
        pixel_size=PixelSize.square(2.5),
        provenance={"source": {"file_name": "a"}},
    ) as file:
        for row in range(pixels.shape[axes.index("Y")]):
            part = (*[slice(None)] * axes.index("Y"), row)
            file.pixels[part] = pixels[part]
            file.release()
        file.finish()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize(
    ("axes", "shape"),
    [
        ("YX", (33, 41)),
        ("ZYX", (3, 9, 8)),
        ("TZYX", (2, 3, 9, 8)),
        ("TCYX", (2, 2, 9, 8)),
        ("YXS", (9, 8, 3)),
    ],
)
def test_what_was_written_part_by_part_is_read_back(
    tmp_path: Path, axes: str, shape: tuple[int, ...], dtype: type
):
    pixels = np.random.default_rng(0).integers(0, 200, shape).astype(dtype)
    written(tmp_path / "a.ome.tif", pixels, axes)
    found = read_recording(tmp_path / "a.ome.tif")
    assert (found.axes, found.pixel_size.side_nm) == (axes, 2.5)
    assert found.pixels.dtype == dtype
    assert np.array_equal(found.pixels, pixels)


def test_a_result_tells_its_provenance_and_leaves_nothing_else_behind(tmp_path: Path):
    written(tmp_path / "a.ome.tif", np.zeros((8, 8), np.uint16), "YX")
    assert read_provenance(tmp_path / "a.ome.tif") == {"source": {"file_name": "a"}}
    assert [path.name for path in tmp_path.iterdir()] == ["a.ome.tif"]


def test_a_result_that_is_not_finished_never_appears(tmp_path: Path):
    (tmp_path / "a.ome.tif").write_bytes(b"earlier")
    with (
        pytest.raises(RuntimeError, match="planted"),
        ResultFile(
            tmp_path / "a.ome.tif",
            (8, 8),
            np.uint16,
            axes="YX",
            pixel_size=PixelSize.square(None),
            provenance={},
        ),
    ):
        raise RuntimeError("planted")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a.ome.tif", b"earlier")]


def test_other_numbers_are_refused(tmp_path: Path):
    with pytest.raises(UnsupportedImage, match="float64"):
        ResultFile(
            tmp_path / "a", (8, 8), np.float64, axes="YX", pixel_size=PixelSize.square(None), provenance={}
        )


def test_a_plain_page_stays_in_its_file_and_a_packed_one_is_decoded(tmp_path: Path):
    import tifffile

    pixels = np.random.default_rng(0).integers(0, 60000, (70, 90)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "plain.tif", pixels)
    tifffile.imwrite(tmp_path / "packed.tif", pixels, compression="zlib")
    plain, packed = (read_frame(tmp_path / name, in_file=True).pixels for name in ("plain.tif", "packed.tif"))
    assert isinstance(plain, np.memmap)
    assert not isinstance(packed, np.memmap)
    assert np.array_equal(plain, pixels)
    release(plain)
    assert np.array_equal(plain, packed)


@settings(derandomize=True, deadline=None, max_examples=150)
@given(
    arrays(
        st.sampled_from([np.uint8, np.uint16]),
        st.tuples(st.integers(1, 12), st.integers(1, 12)),
        elements=st.integers(0, 255),
    )
)
def test_percentiles_by_counting_are_those_by_sorting(pixels: np.ndarray):
    counted, sorted_ = Scaling.of(pixels), Scaling.of(pixels.astype(np.float64))
    assert counted.offset == pytest.approx(sorted_.offset, abs=1e-9)
    assert counted.gain == pytest.approx(sorted_.gain, abs=1e-9)
