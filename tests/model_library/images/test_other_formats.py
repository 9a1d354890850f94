"""MRC, CZI, OME-Zarr, PNG and JPEG: what is written comes back, with axes and pixel size."""

import imagecodecs
import mrcfile
import numpy as np
import pytest

from model_library.images.contents import read_contents, read_recording

from .written_formats import czi, ome_zarr

RNG = np.random.default_rng(6)
GREY = RNG.integers(0, 65535, (40, 48), dtype=np.uint16)
STACK = RNG.integers(0, 65535, (2, 3, 40, 48), dtype=np.uint16)


@pytest.mark.parametrize("dtype", ["int8", "int16", "uint16", "float32", "float16"])
@pytest.mark.parametrize(
    ("shape", "kind", "axes"),
    [((40, 48), None, "YX"), ((5, 40, 48), "stack", "IYX"), ((5, 40, 48), "volume", "ZYX")],
)
def test_mrc_of_every_mode_survives_bit_exactly(tmp_path, dtype, shape, kind, axes):
    path = tmp_path / "a.mrc"
    stored = RNG.integers(0, 120, shape).astype(dtype)
    with mrcfile.new(path) as mrc:
        mrc.set_data(stored)
        mrc.voxel_size = (4.0, 5.0, 6.0)
        if kind == "stack":
            mrc.set_image_stack()
    recording = read_recording(path)
    assert recording.axes == axes
    assert recording.pixels.dtype == stored.dtype
    assert np.array_equal(recording.pixels, stored)
    size = recording.pixel_size
    assert (size.y_nm, size.x_nm) == pytest.approx((0.5, 0.4))
    assert size.z_nm == (pytest.approx(0.6) if axes == "ZYX" else None)


def test_a_file_named_mrcs_is_a_stack_whatever_its_header_says(tmp_path):
    path = tmp_path / "a.mrcs"
    with mrcfile.new(path) as mrc:
        mrc.set_data(STACK[0])
    assert read_recording(path).axes == "IYX"


def low_then_high_bytes(data):
    halves = np.frombuffer(data, np.uint8).reshape(-1, 2).T.tobytes()
    return b"\x03\x01\x01" + imagecodecs.zstd_encode(halves)


@pytest.mark.parametrize(
    ("compression", "encode"),
    [
        (0, bytes),
        (5, imagecodecs.zstd_encode),
        (6, lambda data: b"\x01" + imagecodecs.zstd_encode(data)),
        (6, low_then_high_bytes),
    ],
    ids=["plain", "zstd", "zstd with a header", "low and high bytes apart"],
)
def test_czi_survives_bit_exactly(tmp_path, compression, encode):
    path = tmp_path / "a.czi"
    planes = {(0, c, z): STACK[c, z] for c in range(2) for z in range(3)}
    path.write_bytes(czi(planes, 1, compression, encode))
    recording = read_recording(path)
    assert recording.axes == "CZYX"
    assert recording.pixels.dtype == np.uint16
    assert np.array_equal(recording.pixels, STACK)
    size = recording.pixel_size
    assert (size.y_nm, size.x_nm, size.z_nm) == pytest.approx((5.0, 4.0, 30.0))


@pytest.mark.parametrize(("pixel_type", "dtype"), [(0, "uint8"), (2, "float32"), (3, "uint8"), (4, "uint16")])
def test_czi_pixel_types(tmp_path, pixel_type, dtype):
    path = tmp_path / "a.czi"
    shape = (40, 48, 3) if pixel_type in (3, 4) else (40, 48)
    stored = RNG.integers(0, 250, shape).astype(dtype)
    path.write_bytes(czi({(0, 0, 0): stored}, pixel_type))
    recording = read_recording(path)
    assert recording.axes == ("YXS" if len(shape) == 3 else "YX")
    # Blue comes first in the file.
    assert np.array_equal(recording.pixels, stored[..., ::-1] if len(shape) == 3 else stored)


def test_the_smaller_copies_of_a_czi_are_left_out(tmp_path):
    path = tmp_path / "a.czi"
    axes = [("X", 0, 48, 24), ("Y", 0, 40, 20), ("T", 0, 1, 1), ("C", 0, 1, 1), ("Z", 0, 1, 1)]
    path.write_bytes(czi({(0, 0, 0): GREY}, 1, more=[(axes, GREY[::2, ::2].tobytes())]))
    contents = read_contents(path)
    assert np.array_equal(contents.recordings[0].pixels, GREY)
    assert contents.left_out == ("smaller copies",)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_ome_zarr_is_read_at_its_full_resolution(tmp_path, version):
    contents = read_contents(ome_zarr(tmp_path / "a.zarr", STACK[None], version=version))
    (recording,) = contents.recordings
    assert contents.format == "OME-Zarr"
    assert recording.axes == "CZYX"
    assert recording.pixels.dtype == np.uint16
    assert np.array_equal(recording.pixels, STACK)
    size = recording.pixel_size
    assert (size.y_nm, size.x_nm, size.z_nm) == pytest.approx((5.0, 4.0, 30.0))
    assert recording.name == "grains"
    assert contents.left_out == ("1: a smaller copy",)


@pytest.mark.parametrize(
    ("stored", "axes"),
    [
        (GREY, "YX"),
        ((GREY >> 8).astype(np.uint8), "YX"),
        (np.stack([GREY, GREY + 1, GREY + 2], axis=-1), "YXS"),
    ],
    ids=["16 bit", "8 bit", "colour"],
)
def test_png_survives_bit_exactly(tmp_path, stored, axes):
    path = tmp_path / "a.png"
    path.write_bytes(imagecodecs.png_encode(stored))
    recording = read_recording(path)
    assert (recording.axes, recording.lossy) == (axes, False)
    assert recording.pixels.dtype == stored.dtype
    assert np.array_equal(recording.pixels, stored)


def test_jpeg_is_flagged_as_lossy(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(imagecodecs.jpeg8_encode((GREY >> 8).astype(np.uint8)))
    assert read_recording(path).lossy
    assert read_contents(path).format == "JPEG"


def test_the_first_bytes_decide_the_format_not_the_name(tmp_path):
    path = tmp_path / "a.tif"
    path.write_bytes(imagecodecs.png_encode(GREY))
    assert read_contents(path).format == "PNG"
