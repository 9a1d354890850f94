"""CVAT files: what is written is read back, what CVAT writes is read, what is hostile is refused."""

import contextlib
import io
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_library.annotations import untrusted
from model_library.annotations.cvat import read_cvat, read_cvat_labels
from model_library.annotations.cvat_writing import write_cvat
from model_library.annotations.shapes import (
    AnnotatedImage,
    Annotation,
    Box,
    Ellipse,
    PixelMask,
    Polygon,
    Polyline,
)
from model_library.errors import AnnotationError

NUMBERS = st.floats(-100, 3000)
POINTS = st.tuples(NUMBERS, NUMBERS)
POSITIVE = st.floats(1e-3, 1e3)
TEXT = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF), min_size=1, max_size=8)


@st.composite
def pixel_masks(draw):
    width, height = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    cut = draw(st.integers(0, width * height))
    return PixelMask(
        draw(st.integers(0, 91)), draw(st.integers(0, 71)), width, height, (cut, width * height - cut)
    )


SHAPES = st.one_of(
    st.builds(Polygon, st.lists(POINTS, min_size=3, max_size=6).map(tuple)),
    st.builds(Polyline, st.lists(POINTS, min_size=2, max_size=6).map(tuple), POSITIVE),
    st.builds(Box, NUMBERS, NUMBERS, NUMBERS, NUMBERS, st.floats(0, 360)),
    st.builds(Ellipse, NUMBERS, NUMBERS, POSITIVE, POSITIVE, st.floats(0, 360)),
    pixel_masks(),
)
ANNOTATIONS = st.lists(
    st.builds(Annotation, TEXT, SHAPES, st.integers(-3, 3), st.booleans()), max_size=4
).map(tuple)
NAMES = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=8)
IMAGES = st.lists(
    st.builds(AnnotatedImage, NAMES, st.just(100), st.just(80), ANNOTATIONS, st.frozensets(TEXT, max_size=2)),
    max_size=3,
    unique_by=lambda image: image.name,
).map(tuple)

EXPORTED = """<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta><task><id>7</id><labels><label><name>void</name></label></labels></task></meta>
  <image id="0" name="batch/frame_01.tif" width="100" height="80">
    <polygon label="void" source="manual" occluded="0" points="1.00,2.00;9.50,2.00;9.50,8.00" z_order="1">
    </polygon>
    <ellipse label="void" source="manual" cx="40.0" cy="30.0" rx="5.0" ry="3.0" rotation="15" z_order="0">
      <attribute name="sure">true</attribute>
    </ellipse>
    <box label="void" occluded="1" xtl="50" ytl="50" xbr="60" ybr="70" z_order="0"/>
    <polyline label="void" occluded="0" points="1,1;20,20" z_order="0"/>
    <polyline label="void" occluded="0" points="1,1;20,20" z_order="0">
      <attribute name="width_px">4</attribute>
    </polyline>
    <mask label="void" source="semi-auto" rle="1, 2, 1" left="3" top="4" width="2" height="2" z_order="0"/>
    <tag label="good" source="manual"/>
    <tag label="crack" source="manual"><attribute name="searched">true</attribute></tag>
  </image>
  <image id="1" name="frame_02.tif" width="100" height="80"/>
</annotations>
"""


def xml(shape, size='width="100" height="80"'):
    image = f'<image id="0" name="a" {size}>{shape}</image>'
    return f"<annotations><version>1.1</version>{image}</annotations>".encode()


@settings(derandomize=True, deadline=None)
@given(IMAGES)
def test_what_is_written_is_read_back(images):
    assert read_cvat(write_cvat(images, ["a", "b"]), "file") == images


def test_a_file_of_cvat_is_read_shape_by_shape():
    first, second = read_cvat(EXPORTED.encode(), "file", line_width_px=2.5)
    shapes = [annotation.shape for annotation in first.annotations]
    assert (first.name, first.width, first.height) == ("batch/frame_01.tif", 100, 80)
    assert shapes == [
        Polygon(((1, 2), (9.5, 2), (9.5, 8))),
        Ellipse(40, 30, 5, 3, 15),
        Box(50, 50, 60, 70),
        Polyline(((1, 1), (20, 20)), 2.5),
        Polyline(((1, 1), (20, 20)), 4.0),
        PixelMask(3, 4, 2, 2, (1, 2, 1)),
    ]
    assert [annotation.z_order for annotation in first.annotations] == [1, 0, 0, 0, 0, 0]
    assert [annotation.occluded for annotation in first.annotations].index(True) == 2
    assert first.searched == {"crack"}
    assert second.annotations == ()
    assert read_cvat_labels(EXPORTED.encode(), "file") == ("void",)


def test_the_zip_in_which_cvat_exports_is_read_too():
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("annotations.xml", EXPORTED)
        archive.writestr("images/frame_02.tif", b"")
    assert read_cvat(packed.getvalue(), "task.zip") == read_cvat(EXPORTED.encode(), "file")


BOMB = (
    '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>'
    "<annotations><version>&b;</version></annotations>"
)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_an_entity_bomb_is_refused_in_every_encoding(encoding):
    with pytest.raises(AnnotationError, match="document type"):
        read_cvat(BOMB.encode(encoding), "file")


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ('<points label="x" points="1,1"/>', "found points, which has no area"),
        ('<polygon label="x" points="1,1;2,2"/>', "at least 3 pairs"),
        ('<polygon label="x" points="1,1;2,2;3,nan"/>', "a coordinate near the image"),
        ('<polygon points="1,1;2,2;3,1"/>', "expected a value in label, found nothing"),
        ('<ellipse label="x" cx="1" cy="1" rx="0" ry="1"/>', "a positive number in rx"),
        ('<ellipse label="x" cx="1" cy="1" ry="1"/>', "a number in rx, found nothing"),
        ('<mask label="x" rle="1,2" left="0" top="0" width="2" height="2"/>', "runs that fill 2 x 2"),
        ('<mask label="x" rle="5,-1" left="0" top="0" width="2" height="2"/>', "runs that fill 2 x 2"),
        ('<mask label="x" rle="4" left="99" top="0" width="2" height="2"/>', "a mask inside 100 x 80"),
        ('<mask label="x" rle="4" left="0" top="0" width="1e9" height="2"/>', "a whole number in width"),
    ],
)
def test_a_shape_that_makes_no_sense_is_refused_where_it_stands(shape, expected):
    with pytest.raises(AnnotationError, match="image a, shape 1.*" + expected):
        read_cvat(xml(shape), "file")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not xml",
        b"<annotations><version>1.0</version></annotations>",
        b"<annotations><version>1.1</version><track id='0'/></annotations>",
        b"<html/>",
        b"PK\x03\x04 broken",
        xml("", 'width="0" height="80"'),
        xml("", 'width="1000000" height="80"'),
        xml("", 'width="65536" height="65536"'),
        xml("").replace(b'name="a"', b'name="../a"'),
        xml("").replace(b'name="a"', b'name="/etc/passwd"'),
        xml("").replace(b'name="a"', b'name="C:\\a.png"'),
        xml("").replace(b"</annotations>", b'<image id="1" name="a" width="9" height="9"/></annotations>'),
    ],
)
def test_what_is_no_cvat_for_images_1_1_is_refused(content):
    with pytest.raises(AnnotationError, match=r"^file"):
        read_cvat(content, "file")


@pytest.mark.parametrize("name", ["../../etc/cron.d/x", "/tmp/x", "C:\\x", "images\\..\\..\\x"])
def test_a_zip_with_a_path_name_that_leaves_it_is_refused(name):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("annotations.xml", EXPORTED)
        archive.writestr(name, b"")
    with pytest.raises(AnnotationError, match="inside the folder of images"):
        read_cvat(packed.getvalue(), "task.zip")


def test_a_zip_that_unpacks_to_more_than_annotations_ever_have_is_refused(monkeypatch):
    monkeypatch.setattr(untrusted, "_MOST_BYTES", 100_000)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("annotations.xml", bytes(100_001))
    assert len(packed.getvalue()) < 1000
    with pytest.raises(AnnotationError, match="at most 100000 bytes"):
        read_cvat(packed.getvalue(), "task.zip")


def test_a_name_that_leaves_the_folder_is_not_written_either():
    with pytest.raises(AnnotationError, match="inside the folder of images"):
        write_cvat([AnnotatedImage("../a.png", 5, 5)], ["x"])


def test_a_label_that_xml_cannot_carry_is_refused():
    with pytest.raises(AnnotationError, match="XML can carry"):
        write_cvat([AnnotatedImage("a\x00", 5, 5)], ["x"])


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.integers(0, len(EXPORTED.encode()) - 1), st.integers(1, 255))
def test_a_damaged_file_is_read_or_refused_and_nothing_else(place, flip):
    damaged = bytearray(EXPORTED.encode())
    damaged[place] ^= flip
    with contextlib.suppress(AnnotationError):
        read_cvat(bytes(damaged), "file")


@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    st.data(),
    st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]),
)
def test_a_damaged_zip_is_read_or_refused_and_nothing_else(data, method):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        archive.writestr("annotations.xml", EXPORTED)
    damaged = bytearray(packed.getvalue())
    damaged[data.draw(st.integers(2, len(damaged) - 1))] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(AnnotationError):
        read_cvat(bytes(damaged), "task.zip")


def test_elements_within_elements_within_elements_are_refused():
    with pytest.raises(AnnotationError, match=r"^file"):
        read_cvat(b"<a>" * 200_000 + b"</a>" * 200_000, "file")


def test_a_zip_within_a_zip_is_not_followed():
    packed = EXPORTED.encode()
    for _ in range(2):
        outer = io.BytesIO()
        with zipfile.ZipFile(outer, "w") as archive:
            archive.writestr("annotations.xml", packed)
        packed = outer.getvalue()
    with pytest.raises(AnnotationError, match="expected an XML file"):
        read_cvat(packed, "task.zip")
