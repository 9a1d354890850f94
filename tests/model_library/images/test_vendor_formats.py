"""Files of many vendors: axes, dtype, shape and pixel size as `vendor_formats/SOURCE.md` states them."""

import functools
import gzip

import numpy as np
import pytest

from model_library.errors import MissingReader, UnsupportedImage
from model_library.images.contents import read_contents, read_recording
from model_library.images.readers import read_frame

# file, which recording, format, axes, shape, dtype, pixel size (y, x, z) in nm
FILES = [
    ("czi/FOV7_HV110_P0500510000.czi", 0, "CZI", "YX", (512, 512), "uint8", (None, None, None)),
    ("dm3/bismuth.dm3", 0, "DigitalMicrograph", "YX", (256, 256), "int8", (None, None, None)),
    ("dm3/test_STEM_image.dm3", 0, "DigitalMicrograph", "YX", (68, 68), "uint32", (0.2485, 0.2485, None)),
    ("dm4/bismuth.dm4", 0, "DigitalMicrograph", "YX", (256, 256), "int8", (None, None, None)),
    (
        "dm4/dmTest_float32_nonSquare_diffPixelSize.dm4",
        *(0, "DigitalMicrograph", "YX", (64, 128), "float32", (0.2, 1.0, None)),
    ),
    ("emd/Acquisition_18.emd", 0, "EMD", "YX", (1024, 1024), "uint16", (0.01225, 0.01225, None)),
    ("emd/FFTComplexEven.emd", 0, "EMD", "YX", (128, 128), "uint16", (27.12, 27.12, None)),
    ("hspy/SiO2_HAADF_Image.hspy", 0, "HSPY", "YX", (128, 128), "float32", (8.552, 8.552, None)),
    ("mrc/EMD-3197.map", 0, "MRC", "ZYX", (20, 20, 20), "float32", (1.14, 1.14, 1.14)),
    ("mrc/aspire_particles_sample.mrcs", 0, "MRC", "IYX", (17, 200, 200), "float32", (None, None, None)),
    (
        "ome_tiff/FOV7_HV110_P0500510000.ome.tiff",
        *(0, "OME-TIFF", "YX", (512, 512), "uint8", (None, None, None)),
    ),
    ("ser_emi/03_Scanning_Preview.emi", 0, "TIA EMI", "IYX", (5, 128, 128), "uint16", (0.3844, 0.3844, None)),
    (
        "ser_emi/03_Scanning_Preview_1.ser",
        0,
        "TIA SER",
        "IYX",
        (5, 128, 128),
        "uint16",
        (0.3844, 0.3844, None),
    ),
    ("ser_emi/16_STOimage_1.ser", 0, "TIA SER", "YX", (1024, 1024), "uint16", (0.01001, 0.01001, None)),
    ("tiff_fei/FEI-Helios-Ebeam-8bits.tif", 0, "TIFF", "YX", (471, 512), "uint8", (3372.4, 3372.4, None)),
    (
        "tiff_jeol/JEOL-SightX-TEM-mag-dummy.tif.gz",
        # 93 pixels per inch of detector at a magnification of 150,000.
        *(0, "TIFF", "YX", (556, 556), "uint16", (1.8208, 1.8208, None)),
    ),
    ("tiff_olympus/olympus_SIS.tif", 0, "TIFF", "YXS", (101, 112, 3), "uint8", (None, None, None)),
    ("tiff_olympus/olympus_SIS.tif", 1, "TIFF", "YX", (101, 112), "uint16", (0.02393, 0.02393, None)),
    (
        "tiff_zeiss_sem/test_tiff_Zeiss_SEM_512pix.tif",
        0,
        "TIFF",
        "YX",
        (384, 512),
        "uint8",
        (11.65, 11.65, None),
    ),
]
HDF5 = (".emd", ".hspy")


@pytest.fixture(scope="module")
def vendor_contents(shared_data, tmp_path_factory):
    """Read a file of the folder, once."""

    @functools.cache
    def read(name):
        path = shared_data / "vendor_formats" / name
        if path.suffix in HDF5:
            pytest.importorskip("h5py", reason="EMD and HSPY are HDF5: pip install 'rosettasciio[hdf5]'")
        if path.suffix == ".gz":
            plain = tmp_path_factory.mktemp("plain") / path.stem
            plain.write_bytes(gzip.decompress(path.read_bytes()))
            path = plain
        return read_contents(path)

    return read


@pytest.mark.parametrize(
    ("name", "index", "kind", "axes", "shape", "dtype", "size"),
    FILES,
    ids=[f"{row[0]}-{row[1]}" for row in FILES],
)
def test_axes_dtype_shape_and_pixel_size(vendor_contents, name, index, kind, axes, shape, dtype, size):
    contents = vendor_contents(name)
    recording = contents.recordings[index]
    found = recording.pixel_size
    assert contents.format == kind
    assert (recording.axes, recording.pixels.shape, recording.pixels.dtype.name) == (axes, shape, dtype)
    for value, expected in zip((found.y_nm, found.x_nm, found.z_nm), size, strict=True):
        assert value == (None if expected is None else pytest.approx(expected, rel=5e-4))


def test_every_file_of_the_folder_is_in_the_table(shared_data):
    folder = shared_data / "vendor_formats"
    there = {str(path.relative_to(folder)) for path in folder.glob("*/*")}
    assert there == {row[0] for row in FILES}


def test_twins_hold_the_same_pixels(vendor_contents):
    def pixels(name):
        return vendor_contents(name).recordings[0].pixels

    czi, ome = pixels("czi/FOV7_HV110_P0500510000.czi"), pixels("ome_tiff/FOV7_HV110_P0500510000.ome.tiff")
    assert np.array_equal(czi, ome)
    assert np.array_equal(pixels("dm3/bismuth.dm3"), pixels("dm4/bismuth.dm4"))
    ser, emi = pixels("ser_emi/03_Scanning_Preview_1.ser"), pixels("ser_emi/03_Scanning_Preview.emi")
    assert np.array_equal(ser, emi)


def test_vendor_files_and_their_published_tiffs_hold_the_same_pixels(vendor_contents, shared_data):
    published = shared_data / "em_highres_sr" / "images"
    found = vendor_contents("ser_emi/16_STOimage_1.ser").recordings[0]
    tiff = read_frame(published / "stem_haadf_SrTiO3_1024_u16_10.01pm.tif")
    assert np.array_equal(found.pixels, tiff.pixels)
    assert found.pixels.dtype == tiff.pixels.dtype == np.uint16


def test_what_else_a_file_holds_is_told(vendor_contents):
    contents = vendor_contents("emd/FFTComplexEven.emd")
    assert len(contents.recordings) == 1
    assert any("complex" in reason for reason in contents.left_out)


def test_a_lossy_overview_is_flagged_and_not_taken_for_the_image(shared_data):
    path = shared_data / "vendor_formats" / "tiff_olympus" / "olympus_SIS.tif"
    overview, image = read_contents(path).recordings
    assert overview.lossy
    assert not image.lossy
    assert read_recording(path).pixels.dtype == np.uint16


def test_instruments_tags_are_kept_as_metadata(vendor_contents):
    fei = vendor_contents("tiff_fei/FEI-Helios-Ebeam-8bits.tif").recordings[0]
    zeiss = vendor_contents("tiff_zeiss_sem/test_tiff_Zeiss_SEM_512pix.tif").recordings[0]
    assert fei.metadata["EBeam.HV"] == "5000"
    assert fei.image_rows == 442
    assert zeiss.metadata["ap_wd"] == "3.9 mm"


def test_pixels_that_are_not_square_are_told_and_give_no_frame(vendor_contents):
    recording = vendor_contents("dm4/dmTest_float32_nonSquare_diffPixelSize.dm4").recordings[0]
    assert str(recording.pixel_size) == "y 0.2, x 1 nm"
    with pytest.raises(UnsupportedImage, match=r"expected square pixels, found y 0\.2, x 1 nm"):
        recording.frames()


def test_a_missing_library_is_named_with_the_command_that_installs_it(tmp_path, monkeypatch):
    broken = tmp_path / "rsciio"
    broken.mkdir()
    (broken / "__init__.py").write_text("raise ModuleNotFoundError(\"No module named 'rsciio'\")")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    path = tmp_path / "image.dm3"
    path.write_bytes(b"\0\0\0\3" + bytes(64))
    with pytest.raises(MissingReader, match=r"pip install 'synoptic\[vendor-formats\]'"):
        read_contents(path)
