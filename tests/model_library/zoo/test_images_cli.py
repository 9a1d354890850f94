"""`synoptic library inspect` tells what the readers see, and why they refuse."""

import json

import mrcfile
import numpy as np
import pytest
from typer.testing import CliRunner

from model_library.images.frame import Frame
from model_library.images.writers import encode_acquisition
from model_library.zoo.cli import app

RUN = CliRunner()
GREY = np.random.default_rng(3).integers(0, 4096, (48, 64), dtype=np.uint16)


@pytest.fixture
def files(tmp_path):
    scan, volume, notes = (tmp_path / name for name in ("scan.tif", "volume.mrc", "notes.txt"))
    scan.write_bytes(encode_acquisition(Frame(GREY, 4.0, "field-7", {"dose": "12"})))
    with mrcfile.new(volume) as mrc:
        mrc.set_data(np.stack([GREY] * 3))
        mrc.voxel_size = 11.4
    notes.write_text("not an image")
    return scan, volume, notes


def test_axes_dtype_pixel_size_and_field_are_told(files):
    scan, volume, _ = files
    result = RUN.invoke(app, ["inspect", str(scan), str(volume)])
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        f"{scan}: OME-TIFF",
        "  0: YX 48 x 64 uint16; pixel y 4 nm, x 4 nm; field field-7",
        f"{volume}: MRC",
        "  0: ZYX 3 x 48 x 64 uint16; pixel y 1.14 nm, x 1.14 nm, z 1.14 nm",
    ]


def test_a_refusal_stands_beside_what_was_read_and_ends_with_exit_code_1(files):
    scan, _, notes = files
    result = RUN.invoke(app, ["inspect", str(notes), str(scan), "--json"])
    refused, read = json.loads(result.stdout)
    assert result.exit_code == 1
    assert refused["refused"] == "notes.txt: expected an image, found text; export it as TIFF"
    assert refused["recordings"] == []
    (recording,) = read["recordings"]
    assert recording["axes"] == "YX"
    assert recording["pixel_size_nm"] == {"y": 4.0, "x": 4.0, "z": None}
    assert recording["metadata"] == {"dose": "12"}
    assert "refused: notes.txt" in RUN.invoke(app, ["inspect", str(notes)]).stdout
    gone = RUN.invoke(app, ["inspect", str(notes.with_name("gone.tif")), "--json"])
    assert "No such file" in json.loads(gone.stdout)[0]["refused"]


def test_data_bars_lossy_overviews_and_several_images_are_told(shared_data):
    folder = shared_data / "vendor_formats"
    zeiss = folder / "tiff_zeiss_sem" / "test_tiff_Zeiss_SEM_512pix.tif"
    olympus = folder / "tiff_olympus" / "olympus_SIS.tif"
    lines = RUN.invoke(app, ["inspect", str(zeiss), str(olympus)]).stdout.splitlines()
    assert lines[1] == "  0: YX 384 x 512 uint8; pixel y 11.6504 nm, x 11.6504 nm; data bar of 34 rows"
    assert lines[3] == "  0: YXS 101 x 112 x 3 uint8; pixel size unknown; lossy"
    assert lines[4] == "  1: YX 101 x 112 uint16; pixel y 0.0239279 nm, x 0.0239279 nm"
