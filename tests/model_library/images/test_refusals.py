"""Every file that is not one whole grey image is refused with its reason, never with a crash."""

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model_library.errors import (
    EmptyImage,
    ImageError,
    NonFinitePixels,
    NotAnImage,
    TruncatedImage,
    UnsupportedImage,
)
from model_library.images.frame import Frame
from model_library.images.readers import ReadLimits, read_frame, read_micrograph, read_stack
from model_library.images.writers import encode_acquisition

GREY = np.random.default_rng(2).integers(0, 255, (48, 40), dtype=np.uint8)
COLOUR_MAP = np.random.default_rng(2).integers(0, 65535, (3, 256), dtype=np.uint16)
COLOUR = np.random.default_rng(2).integers(0, 255, (48, 40, 3), dtype=np.uint8)
WHOLE = encode_acquisition(Frame(GREY, 4.0, "field-1", {"dose": "12"}))


def tiff(path, pixels, **options):
    tifffile.imwrite(path, pixels, metadata=None, **options)


def nan_tiff(path):
    pixels = GREY.astype(np.float32)
    pixels[3, 4] = np.nan
    tiff(path, pixels)


def with_thumbnail(path):
    with tifffile.TiffWriter(path) as writer:
        writer.write(GREY, metadata=None)
        writer.write(GREY[::4, ::4], metadata=None, subfiletype=1)


def looped(path):
    with_thumbnail(path)
    with tifffile.TiffFile(path) as file:
        first, second = (page.offset for page in file.pages)
        tags = len(file.pages[1].tags)
    content = bytearray(path.read_bytes())
    where = second + 2 + 12 * tags
    content[where : where + 4] = first.to_bytes(4, "little")
    path.write_bytes(content)


def short_strips(path):
    path.write_bytes(WHOLE)
    with tifffile.TiffFile(path, mode="r+") as file:
        file.pages[0].tags["StripByteCounts"].overwrite(100)


def damaged_zlib(path):
    tiff(path, GREY, compression="zlib")
    with tifffile.TiffFile(path) as file:
        where = file.pages[0].dataoffsets[0]
    content = bytearray(path.read_bytes())
    content[where : where + 40] = bytes(40)
    path.write_bytes(content)


def absurd_size(path):
    tiff(path, GREY, compression="zlib")
    with tifffile.TiffFile(path, mode="r+") as file:
        file.pages[0].tags["ImageWidth"].overwrite(2**31)


def cut_palette(path):
    tiff(path, GREY, photometric="palette", colormap=np.zeros((3, 256), np.uint16))
    with tifffile.TiffFile(path, mode="r+") as file:
        file.pages[0].tags["ColorMap"].overwrite(3)


def bad_xml(path):
    tiff(path, GREY, description="<?xml version='1.0'?><OME><Image></OME>")


def entities(path):
    tiff(path, GREY, description="<!DOCTYPE a [<!ENTITY b 'bbbb'>]><OME>&b;</OME>")


REFUSED = {
    "empty": (lambda path: path.write_bytes(b""), EmptyImage, "0 bytes"),
    "text": (lambda path: path.write_text("notes, not an image"), NotAnImage, "found text"),
    "noise": (lambda path: path.write_bytes(bytes(range(256))), NotAnImage, "found bytes"),
    "png": (lambda path: path.write_bytes(imagecodecs.png_encode(GREY)), NotAnImage, "PNG or JPEG"),
    "photograph": (lambda path: tiff(path, COLOUR, photometric="rgb"), UnsupportedImage, "3 channels"),
    "inverted": (lambda path: tiff(path, GREY, photometric="miniswhite"), UnsupportedImage, "black as 0"),
    "stack": (
        lambda path: tiff(path, np.stack([GREY] * 3), photometric="minisblack"),
        UnsupportedImage,
        "3 ",
    ),
    "thumbnail": (with_thumbnail, UnsupportedImage, "expected one page, found 2"),
    "int32": (lambda path: tiff(path, GREY.astype(np.int32)), UnsupportedImage, "32 bits of sample format 2"),
    "float64": (lambda path: tiff(path, GREY.astype(float)), UnsupportedImage, "64 bits"),
    "nan": (nan_tiff, NonFinitePixels, "1 of 1920"),
    "truncated": (lambda path: path.write_bytes(WHOLE[:-7]), TruncatedImage, "ends? at"),
    "no directory": (lambda path: path.write_bytes(WHOLE[:6]), TruncatedImage, "byte 8"),
    "loop": (looped, NotAnImage, "loop"),
    "short strips": (short_strips, TruncatedImage, "1920 bytes of pixels"),
    "damaged": (damaged_zlib, NotAnImage, "decodes"),
    "absurd": (absurd_size, UnsupportedImage, "crop"),
    "palette": (
        lambda path: tiff(path, GREY, photometric="palette", colormap=COLOUR_MAP),
        UnsupportedImage,
        "colour palette",
    ),
    "cut palette": (cut_palette, UnsupportedImage, "colour palette"),
    "bad xml": (bad_xml, NotAnImage, "OME-XML"),
    "entities": (entities, NotAnImage, "entities"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_its_class_its_file_and_its_reason(tmp_path, name):
    make, kind, reason = REFUSED[name]
    path = tmp_path / "acquired.tif"
    make(path)
    with pytest.raises(ImageError, match=reason) as refusal:
        read_frame(path)
    assert type(refusal.value) is kind
    assert str(refusal.value).startswith("acquired.tif: expected ")
    assert "; " in str(refusal.value)


def test_a_missing_file_is_the_file_systems_matter(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_frame(tmp_path / "gone.tif")


def test_limits_are_the_callers(tmp_path):
    path = tmp_path / "acquired.tif"
    path.write_bytes(WHOLE)
    with pytest.raises(UnsupportedImage, match="48 x 40"):
        read_frame(path, ReadLimits(max_pixels=1000))
    with_thumbnail(path)
    with pytest.raises(UnsupportedImage, match="at most 1 pages"):
        read_stack(path, ReadLimits(max_pages=1))
    with pytest.raises(UnsupportedImage, match="found 2040 in 2 pages; split the file"):
        read_stack(path, ReadLimits(max_bytes=2039))


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_pictures_are_micrographs_unless_coloured_or_cut_off(tmp_path, suffix):
    encode = imagecodecs.png_encode if suffix == "png" else imagecodecs.jpeg8_encode
    path = tmp_path / f"published.{suffix}"
    path.write_bytes(encode(COLOUR))
    with pytest.raises(UnsupportedImage, match="colour channels that differ"):
        read_micrograph(path)
    path.write_bytes(encode(np.stack([GREY] * 3, axis=-1)))
    assert read_micrograph(path).pixels.shape == GREY.shape
    with pytest.raises(UnsupportedImage, match="48 x 40"):
        read_micrograph(path, ReadLimits(max_pixels=1000))
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(TruncatedImage):
        read_micrograph(path)


def test_the_faint_tint_that_jpeg_gives_to_grey_is_no_colour(tmp_path):
    path = tmp_path / "published.jpg"
    tinted = np.stack([GREY // 2 + 60] * 3, axis=-1)
    tinted[..., 2] += 5
    path.write_bytes(imagecodecs.jpeg8_encode(tinted, level=95))
    found = read_micrograph(path).pixels
    assert found.dtype == np.uint8
    assert np.abs(found.astype(int) - (GREY // 2 + 60)).mean() < 3
    # PNG keeps what it is given: there, a tint is meant.
    path.write_bytes(imagecodecs.png_encode(tinted))
    with pytest.raises(UnsupportedImage, match="colour channels that differ"):
        read_micrograph(path)


def test_alpha_is_dropped(tmp_path):
    path = tmp_path / "published.png"
    opaque = np.full_like(GREY, 255)
    for channels in ([GREY, opaque], [GREY, GREY, GREY, opaque]):
        path.write_bytes(imagecodecs.png_encode(np.stack(channels, axis=-1)))
        assert np.array_equal(read_micrograph(path).pixels, GREY)


@settings(
    derandomize=True,
    deadline=None,
    max_examples=400,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.lists(st.tuples(st.integers(0, len(WHOLE) - 1) | st.integers(0, 300), st.integers(0, 255)), max_size=4)
)
def test_a_mutant_is_read_or_refused(tmp_path, changes):
    content = bytearray(WHOLE)
    for where, value in changes:
        content[where] = value
    path = tmp_path / "mutant.tif"
    path.write_bytes(content)
    try:
        frame = read_frame(path, ReadLimits(max_pixels=1 << 20))
    except ImageError:
        return
    assert frame.pixels.ndim == 2
