"""Files that are damaged, cut, too large, or no image: refused in words; nothing crashes or hangs."""

import io
import json
import struct
import sys
import tempfile
import zlib
from pathlib import Path

import imagecodecs
import mrcfile
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model_library.errors import (
    ChildRefused,
    EmptyImage,
    ImageError,
    NonFinitePixels,
    NotAnImage,
    TruncatedImage,
    UnsupportedImage,
)
from model_library.images.contents import ReadLimits, read_contents
from model_library.images.vendor_formats import DM, SER
from model_library.processes.child import Child

from .written_formats import czi, ome_zarr

GREY = np.random.default_rng(2).integers(0, 255, (48, 40), dtype=np.uint8)
ANY = settings(
    derandomize=True,
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def tiff(path, pixels=GREY, **options):
    tifffile.imwrite(path, pixels, metadata=None, **options)


def retagged(path, tag, value, **options):
    tiff(path, **options)
    with tifffile.TiffFile(path, mode="r+") as file:
        file.pages[0].tags[tag].overwrite(value)


def mrc(path, **header):
    with mrcfile.new(path, overwrite=True) as file:
        file.set_data(GREY.astype(np.float32))
    content = bytearray(path.read_bytes())
    for name, value in header.items():
        where = {"nx": 0, "ny": 4, "nz": 8, "mode": 12, "mapc": 64, "nsymbt": 92}[name]
        content[where : where + 4] = struct.pack("<i", value)
    path.write_bytes(content)


def png(width, height):
    def chunk(kind, content):
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(9)))
        + chunk(b"IEND", b"")
    )


def plane(path, pixel_type=0, **changes):
    axes = {"X": (0, 40, 40), "Y": (0, 48, 48), "T": (0, 1, 1), "C": (0, 1, 1), "Z": (0, 1, 1)} | changes
    told = [(axis, *values) for axis, values in axes.items()]
    path.write_bytes(czi({}, pixel_type, more=[(told, GREY.tobytes())]))


def nan(path):
    pixels = GREY.astype(np.float32)
    pixels[3, 4] = np.nan
    tiff(path, pixels)


def infinite_mrc(path):
    mrc(path)
    content = bytearray(path.read_bytes())
    content[-4:] = struct.pack("<f", np.inf)
    path.write_bytes(content)


REFUSED = {
    "empty": ("a.tif", lambda path: path.write_bytes(b""), EmptyImage, "0 bytes"),
    "text": ("a.dm3", lambda path: path.write_text("notes, not an image"), NotAnImage, "found text"),
    "HDF5 of something else": (
        *("a.h5", lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(99)), NotAnImage, "found bytes"),
    ),
    "complex TIFF": (
        "a.tif",
        lambda path: tiff(path, GREY.astype(np.complex64)),
        UnsupportedImage,
        "complex",
    ),
    "bilevel TIFF": ("a.tif", lambda path: tiff(path, GREY > 99), UnsupportedImage, "1 bits"),
    "CMYK": (
        *(
            "a.tif",
            lambda path: tiff(path, np.stack([GREY] * 4, -1), photometric="separated"),
            UnsupportedImage,
        ),
        "neither grey nor RGB",
    ),
    "five samples": (
        *(
            "a.tif",
            lambda path: tiff(path, np.stack([GREY] * 5, -1), photometric="minisblack", planarconfig=1),
        ),
        *(UnsupportedImage, "5 samples"),
    ),
    "signed white as 0": (
        *("a.tif", lambda path: tiff(path, GREY.astype(np.int8), photometric="miniswhite"), UnsupportedImage),
        "white as 0",
    ),
    "volume in one page": (
        *(
            "a.tif",
            lambda path: tiff(path, np.stack([GREY[:32, :32]] * 16), volumetric=True, tile=(16, 16, 16)),
        ),
        *(ImageError, "expected"),
    ),
    "NaN": ("a.tif", nan, NonFinitePixels, "1 of 1920"),
    "infinity in MRC": ("a.mrc", infinite_mrc, NonFinitePixels, "1 of 1920"),
    "wide TIFF bomb": (
        *(
            "a.tif",
            lambda path: retagged(path, "ImageWidth", 2**31, compression="zlib"),
            UnsupportedImage,
            "crop",
        ),
    ),
    "TIFF that promises too much": (
        *("a.tif", lambda path: retagged(path, "ImageLength", 2**21, compression="zlib"), UnsupportedImage),
        "1032 bytes of pixels per compressed byte",
    ),
    "tile bomb": (
        *("a.tif", lambda path: retagged(path, "TileWidth", 2**30, tile=(16, 16)), UnsupportedImage),
        "strips or tiles of at most",
    ),
    "PNG bomb": ("a.png", lambda path: path.write_bytes(png(2**20, 2**20)), UnsupportedImage, "crop"),
    "MRC bomb": ("a.mrc", lambda path: mrc(path, nx=2**30, ny=2**30), UnsupportedImage, "crop"),
    "MRC of too many sections": ("a.mrc", lambda path: mrc(path, nz=5000), UnsupportedImage, "4096 sections"),
    "cut MRC": ("a.mrc", lambda path: mrc(path, nz=5), TruncatedImage, "let the writer finish"),
    "MRC without a header": ("a.mrc", lambda path: path.write_bytes(bytes(99)), TruncatedImage, "1024 bytes"),
    "complex MRC": ("a.mrc", lambda path: mrc(path, mode=4), UnsupportedImage, "complex"),
    "MRC of an unknown mode": ("a.mrc", lambda path: mrc(path, mode=77), UnsupportedImage, "mode 77"),
    "MRC with a negative side": ("a.mrc", lambda path: mrc(path, ny=-48), UnsupportedImage, "positive sides"),
    "MRC with axes turned": ("a.mrc", lambda path: mrc(path, mapc=3), UnsupportedImage, "along x, y and z"),
    "CZI bomb": ("a.czi", lambda path: plane(path, X=(0, 2**30, 2**30)), UnsupportedImage, "crop"),
    "CZI of too few bytes": (
        "a.czi",
        lambda path: plane(path, X=(0, 99, 99)),
        NotAnImage,
        "plane of 4752 bytes",
    ),
    "CZI of scenes": (
        "a.czi",
        lambda path: plane(path, S=(0, 2, 2)),
        UnsupportedImage,
        "several values along S",
    ),
    "CZI without X": (
        *("a.czi", lambda path: path.write_bytes(czi({}, 0, more=[([("Y", 0, 1, 1)], b"1")])), NotAnImage),
        "sub-blocks with X and Y",
    ),
    "CZI without planes": (
        *("a.czi", lambda path: path.write_bytes(czi({}, 0)), UnsupportedImage, "planes of 0 kinds"),
    ),
    "CZI of an unknown pixel type": (
        *("a.czi", lambda path: plane(path, pixel_type=10), UnsupportedImage, "pixel type 10"),
    ),
    "CZI mosaic": (
        *(
            "a.czi",
            lambda path: path.write_bytes(czi({(0, 0, 0): GREY}, 0, more=[mosaic_tile()])),
            UnsupportedImage,
        ),
        "mosaic",
    ),
}


def mosaic_tile():
    axes = {"X": 40, "Y": 0, "T": 0, "C": 0, "Z": 0}
    lengths = {"X": 40, "Y": 48}
    return (
        [(axis, start, lengths.get(axis, 1), lengths.get(axis, 1)) for axis, start in axes.items()],
        GREY.tobytes(),
    )


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_its_class_its_file_and_its_reason(tmp_path, name):
    file, make, kind, reason = REFUSED[name]
    path = tmp_path / file
    make(path)
    with pytest.raises(ImageError, match=reason) as refusal:
        read_contents(path)
    assert isinstance(refusal.value, kind)
    assert str(refusal.value).startswith(f"{file}: expected ")
    assert "; " in str(refusal.value)


def test_limits_are_the_callers(tmp_path):
    path = tmp_path / "a.tif"
    tiff(path, np.stack([GREY] * 4), photometric="minisblack")
    with pytest.raises(UnsupportedImage, match="48 x 40"):
        read_contents(path, ReadLimits(max_pixels=1000))
    with pytest.raises(UnsupportedImage, match="at most 3 pages"):
        read_contents(path, ReadLimits(max_pages=3))
    with pytest.raises(UnsupportedImage, match="found 7680 in 4 pages; split the file"):
        read_contents(path, ReadLimits(max_bytes=7679))
    assert read_contents(path, ReadLimits(max_pixels=1920, max_pages=4, max_bytes=7680))


def test_files_that_an_ome_xml_names_besides_are_not_opened(tmp_path):
    tiff(tmp_path / "secret.tif", GREY + 1)
    block = '<TiffData IFD="0"><UUID FileName="secret.tif">urn:uuid:1</UUID></TiffData>'
    xml = (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
        '<Image ID="Image:0">'
        '<Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint8" SizeX="40" SizeY="48" SizeC="1" SizeZ="1" '
        f'SizeT="1">{block}</Pixels></Image></OME>'
    )
    tiff(tmp_path / "a.ome.tif", GREY, description=xml)
    assert np.array_equal(read_contents(tmp_path / "a.ome.tif").recordings[0].pixels, GREY)


def whole_files():
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, np.stack([GREY] * 2), photometric="minisblack", compression="zlib", ome=True)
    with tempfile.TemporaryDirectory() as folder:
        mrc(Path(folder) / "a.mrc")
        volume = (Path(folder) / "a.mrc").read_bytes()
    return {
        "a.tif": buffer.getvalue(),
        "a.png": imagecodecs.png_encode(GREY),
        "a.jpg": imagecodecs.jpeg8_encode(GREY),
        "a.mrc": volume,
        "a.czi": czi({(0, 0, 0): GREY}, 0, 5, imagecodecs.zstd_encode),
    }


WHOLE = whole_files()


def read_or_refuse(path):
    try:
        contents = read_contents(path, ReadLimits(max_pixels=1 << 20, max_bytes=1 << 24))
    except ImageError:
        return
    assert all(recording.pixels.size for recording in contents.recordings)


@pytest.mark.parametrize("name", WHOLE)
@ANY
@given(st.data())
def test_every_prefix_is_read_or_refused(tmp_path, name, data):
    path = tmp_path / name
    path.write_bytes(WHOLE[name][: data.draw(st.integers(0, len(WHOLE[name]) - 1))])
    read_or_refuse(path)


@pytest.mark.parametrize("name", WHOLE)
@ANY
@given(st.data())
def test_every_mutant_is_read_or_refused(tmp_path, name, data):
    content = bytearray(WHOLE[name])
    places = st.integers(0, len(content) - 1) | st.integers(0, 300)
    for where, value in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), max_size=4)):
        content[where] = value
    path = tmp_path / name
    path.write_bytes(content)
    read_or_refuse(path)


@pytest.mark.parametrize(
    ("name", "kind"), [("dm3/test_STEM_image.dm3", DM), ("ser_emi/03_Scanning_Preview_1.ser", SER)]
)
def test_one_child_outlives_every_cut_of_a_vendors_file(shared_data, tmp_path, name, kind):
    whole = (shared_data / "vendor_formats" / name).read_bytes()
    path = tmp_path / f"cut{name[name.rindex('.') :]}"
    command = [sys.executable, "-m", "model_library.images.vendor_child", str(4 << 30), "120"]
    child = Child(command, log=tmp_path / "child.log")
    refusals = []
    try:
        for length in np.linspace(8, len(whole) - 1, 25).astype(int):
            path.write_bytes(whole[:length])
            question = {
                "path": str(path),
                "kind": kind,
                "folder": str(tmp_path),
                "limits": [1 << 20, 99, 1 << 24],
            }
            try:
                assert child.ask(question, 60.0)["recordings"]
            except ChildRefused as refusal:
                refusals.append(refusal.code)
        first = child.pid
        path.write_bytes(whole)
        assert child.ask(question, 60.0)["recordings"]
        assert child.pid == first
    finally:
        child.retire()
    assert len(refusals) >= 20
    assert set(refusals) <= {"NotAnImage", "UnsupportedImage", "TruncatedImage"}


def test_a_vendors_file_that_kills_its_reader_is_no_image(tmp_path, monkeypatch):
    (tmp_path / "rsciio").mkdir()
    (tmp_path / "rsciio" / "__init__.py").write_text("import os; os.abort()")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    path = tmp_path / "a.dm3"
    path.write_bytes(b"\0\0\0\3" + bytes(64))
    with pytest.raises(NotAnImage, match=r"a\.dm3: expected DigitalMicrograph .* SIGABRT"):
        read_contents(path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda told: told.clear(), "multiscales"),
        (lambda told: told[0]["datasets"][0].update(path="../../etc"), "inside of the folder"),
        (lambda told: told[0]["axes"][0].update(name="energy"), "energy"),
    ],
    ids=["no image", "another folder", "an unknown axis"],
)
def test_an_ome_zarr_that_says_nonsense_is_refused(tmp_path, change, reason):
    folder = ome_zarr(tmp_path / "a.zarr", GREY[None, None, None], version="0.4")
    attributes = json.loads((folder / ".zattrs").read_text())
    change(attributes["multiscales"])
    (folder / ".zattrs").write_text(json.dumps(attributes))
    with pytest.raises(ImageError, match=reason):
        read_contents(folder)


def test_an_ome_zarr_bomb_is_refused_before_decoding(tmp_path):
    folder = ome_zarr(tmp_path / "a.zarr", GREY[None, None, None], version="0.4")
    about = folder / "0" / ".zarray"
    content = json.loads(about.read_text()) | {"shape": [1, 1, 1, 1 << 20, 1 << 20]}
    about.write_text(json.dumps(content))
    with pytest.raises(UnsupportedImage, match="crop"):
        read_contents(folder)


def test_a_folder_without_an_image_is_refused(tmp_path):
    with pytest.raises(NotAnImage, match="OME-Zarr"):
        read_contents(tmp_path)
