"""A TIFF of any layout gives back what was stored, with its axes named and its pixel size found."""

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from model_library.errors import UnsupportedImage
from model_library.images.contents import read_contents, read_recording

RNG = np.random.default_rng(5)
GREY = RNG.integers(0, 65535, (96, 80), dtype=np.uint16)
COLOUR = RNG.integers(0, 255, (96, 80, 3), dtype=np.uint8)
STACK = RNG.integers(0, 65535, (12, 40, 48), dtype=np.uint16)
DTYPES = ["uint8", "uint16", "uint32", "int8", "int16", "int32", "float16", "float32", "float64"]
LAYOUTS = {
    "strips": {},
    "one strip": {"rowsperstrip": 96},
    "tiles": {"tile": (32, 16)},
    "big endian": {"byteorder": ">"},
    "bigtiff": {"bigtiff": True},
    "deflate": {"compression": "zlib"},
    "deflate tiles with predictor": {"compression": "zlib", "predictor": True, "tile": (32, 32)},
    "lzw": {"compression": "lzw"},
    "zstd": {"compression": "zstd"},
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_layout_and_dtype_survives_bit_exactly(tmp_path, layout, dtype):
    path = tmp_path / "a.tif"
    stored = (GREY.astype(np.float64) % 120).astype(dtype)
    options = dict(LAYOUTS[layout])
    if dtype == "float16":
        # There is no predictor for 16-bit floats in the writer.
        options.pop("predictor", None)
    tifffile.imwrite(path, stored, metadata=None, **options)
    recording = read_recording(path)
    assert recording.axes == "YX"
    assert recording.pixels.dtype == stored.dtype
    assert recording.pixels.dtype.isnative
    assert np.array_equal(recording.pixels, stored)
    assert not recording.lossy


@settings(derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    arrays.arrays(
        st.sampled_from([np.uint8, np.uint16, np.uint32, np.int16]),
        arrays.array_shapes(min_dims=2, max_dims=3),
    ),
    st.sampled_from([{}, {"compression": "zlib"}, {"byteorder": ">"}, {"bigtiff": True}]),
)
def test_any_stack_survives_bit_exactly(tmp_path, stored, options):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, stored, metadata=None, photometric="minisblack", **options)
    recording = read_recording(path)
    kept = stored if stored.ndim == 2 or len(stored) > 1 else stored[0]
    assert recording.axes == "IYX"[3 - kept.ndim :]
    assert recording.pixels.dtype == stored.dtype
    assert np.array_equal(recording.pixels, kept)


@pytest.mark.parametrize(
    ("axes", "shape", "expected"),
    [
        ("TZCYX", (2, 3, 2), "TCZYX"),
        ("ZYX", (12,), "ZYX"),
        ("TYX", (12,), "TYX"),
        ("CYX", (12,), "CYX"),
        ("TZYX", (1, 12), "ZYX"),
    ],
)
@pytest.mark.parametrize("kind", ["ome", "imagej"])
def test_ome_and_imagej_name_the_axes_of_a_stack(tmp_path, kind, axes, shape, expected):
    path = tmp_path / "a.ome.tif" if kind == "ome" else tmp_path / "a.tif"
    stored = STACK.reshape(*shape, 40, 48)
    tifffile.imwrite(path, stored, photometric="minisblack", metadata={"axes": axes}, **{kind: True})
    contents = read_contents(path)
    (recording,) = contents.recordings
    assert contents.format == {"ome": "OME-TIFF", "imagej": "ImageJ TIFF"}[kind]
    assert recording.axes == expected
    order = [axes.index(axis) for axis in expected]
    dropped = tuple(index for index in range(len(axes)) if index not in order)
    assert np.array_equal(recording.pixels, stored.squeeze(dropped).transpose(np.argsort(np.argsort(order))))


def test_planes_of_different_kinds_are_recordings_of_their_own(tmp_path):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        for pixels in (COLOUR, GREY, GREY + 1, GREY[:50]):
            writer.write(pixels, metadata=None)
    found = read_contents(path).recordings
    assert [recording.axes for recording in found] == ["YXS", "IYX", "YX"]
    assert np.array_equal(found[1].pixels, [GREY, GREY + 1])
    with pytest.raises(UnsupportedImage, match=r"found 3 \(0: YXS .* no choice; choose one of these numbers"):
        read_recording(path)
    with pytest.raises(UnsupportedImage, match="choice 3"):
        read_recording(path, 3)
    assert np.array_equal(read_recording(path, 2).pixels, GREY[:50])


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_colour_keeps_its_samples_and_gives_no_grey_frame(tmp_path, planar):
    path = tmp_path / "a.tif"
    stored = COLOUR if planar == "contig" else np.moveaxis(COLOUR, -1, 0)
    tifffile.imwrite(path, stored, photometric="rgb", planarconfig=planar, metadata=None)
    recording = read_recording(path)
    assert recording.axes == "YXS"
    assert recording.shape == (96, 80)
    assert np.array_equal(recording.pixels, COLOUR)
    with pytest.raises(UnsupportedImage, match="colour samples that differ"):
        recording.frames()


def test_equal_samples_are_the_grey_that_they_are(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.stack([GREY] * 3, axis=-1), photometric="rgb", metadata=None)
    (frame,) = read_recording(path).frames()
    assert np.array_equal(frame.pixels, GREY)


def test_white_is_zero_is_inverted_without_loss(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, GREY, photometric="miniswhite", metadata=None)
    assert np.array_equal(read_recording(path).pixels, 65535 - GREY)


def test_jpeg_inside_a_tiff_is_flagged(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, (GREY >> 8).astype(np.uint8), compression="jpeg", metadata=None)
    assert read_recording(path).lossy


def levels():
    return [GREY, GREY[::2, ::2], GREY[::4, ::4]]


def below(path):
    with tifffile.TiffWriter(path) as writer:
        writer.write(GREY, subifds=2, tile=(16, 16), metadata=None)
        for level in levels()[1:]:
            writer.write(level, subfiletype=1, tile=(16, 16), metadata=None)


def flagged(path):
    with tifffile.TiffWriter(path) as writer:
        for number, level in enumerate(levels()):
            writer.write(level, subfiletype=min(number, 1), metadata=None)


def unflagged(path):
    with tifffile.TiffWriter(path) as writer:
        for level in levels():
            writer.write(level, tile=(16, 16), metadata=None)


@pytest.mark.parametrize("pyramid", [below, flagged, unflagged])
def test_a_pyramid_is_read_at_its_full_resolution(tmp_path, pyramid):
    path = tmp_path / "a.tif"
    pyramid(path)
    contents = read_contents(path)
    (recording,) = contents.recordings
    assert np.array_equal(recording.pixels, GREY)
    told = () if pyramid is below else ("page 2: a smaller copy", "page 3: a smaller copy")
    assert contents.left_out == told


def tvips(pixel_size_nm):
    header = (
        np.zeros(1, np.dtype(tifffile.TIFF.TVIPS_HEADER_V1)),
        np.zeros(1, np.dtype(tifffile.TIFF.TVIPS_HEADER_V2)),
    )
    header[0]["Version"] = 2
    header[1]["Magic"] = 0xAAAAAAAA
    header[1]["PixelSizeX"] = header[1]["PixelSizeY"] = pixel_size_nm
    content = b"".join(part.tobytes() for part in header)
    return {"extratags": [(37706, 1, len(content), content, True)], "byteorder": "<"}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (tvips(0.75), (0.75, 0.75, None)),
        (
            {
                "imagej": True,
                "resolution": (200, 100),
                "metadata": {"unit": "um", "spacing": 0.05, "axes": "ZYX"},
            },
            (10.0, 5.0, 50.0),
        ),
        ({"resolution": (1e6, 2e6), "resolutionunit": "CENTIMETER"}, (5.0, 10.0, None)),
        (
            {
                "ome": True,
                "metadata": {
                    "axes": "ZYX",
                    **{"PhysicalSizeX": 4.0, "PhysicalSizeXUnit": "nm"},
                    **{"PhysicalSizeY": 50.0, "PhysicalSizeYUnit": "\u00c5"},
                    **{"PhysicalSizeZ": 0.03, "PhysicalSizeZUnit": "\u00b5m"},
                },
            },
            (5.0, 4.0, 30.0),
        ),
        ({"description": '{"pixel_size_nm": 2.5}'}, (2.5, 2.5, None)),
        ({"description": "[1, 2]"}, (None, None, None)),
    ],
    ids=["TVIPS", "ImageJ", "resolution", "OME", "JSON", "JSON of something else"],
)
def test_pixel_sizes_along_each_axis(tmp_path, options, expected):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, STACK, **({"metadata": None, "photometric": "minisblack"} | options))
    found = read_recording(path).pixel_size
    assert (found.y_nm, found.x_nm, found.z_nm) == tuple(
        None if value is None else pytest.approx(value, rel=1e-6) for value in expected
    )


def test_frames_keep_the_three_dtypes_and_turn_others_to_float32(tmp_path):
    path = tmp_path / "a.tif"
    for dtype in DTYPES:
        tifffile.imwrite(path, (STACK % 100).astype(dtype), photometric="minisblack", metadata=None)
        frames = read_recording(path).frames()
        assert len(frames) == 12
        kept = dtype if dtype in ("uint8", "uint16", "float32") else "float32"
        assert {frame.pixels.dtype.name for frame in frames} == {kept}
        assert np.array_equal(frames[7].pixels, (STACK[7] % 100).astype(kept))
