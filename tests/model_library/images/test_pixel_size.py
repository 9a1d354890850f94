"""The side of a pixel is found where instruments write it, and not invented from print resolutions."""

import numpy as np
import pytest
import tifffile

from model_library.images.readers import read_frame, read_stack

GREY = np.arange(400, dtype=np.uint16).reshape(20, 20)


def size(path, **options):
    tifffile.imwrite(path, GREY, **({"metadata": None} | options))
    return read_frame(path).pixel_size_nm


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, None),
        ({"resolution": (1e6, 1e6), "resolutionunit": "CENTIMETER"}, 10.0),
        ({"resolution": (2.54e6, 2.54e6), "resolutionunit": "INCH"}, 10.0),
        ({"resolution": (300, 300), "resolutionunit": "INCH"}, None),
        ({"resolution": (72, 72), "resolutionunit": "INCH"}, None),
        ({"description": '{"pixel_size_nm": 2.5}'}, 2.5),
        ({"description": '{"pixel_size_nm": "wide"}'}, None),
        ({"description": "{not json"}, None),
        ({"description": "ImageJ=1.54f\nunit=micron\n", "resolution": (200, 200)}, 5.0),
        ({"ome": True, "metadata": {"PhysicalSizeX": 0.004, "PhysicalSizeXUnit": "µm"}}, 4.0),
        ({"ome": True, "metadata": {"PhysicalSizeX": 12.0, "PhysicalSizeXUnit": "pm"}}, 0.012),
        ({"ome": True, "metadata": {"PhysicalSizeX": 12.0, "PhysicalSizeXUnit": "pixel"}}, None),
        ({"ome": True, "metadata": {"PhysicalSizeX": -1.0}}, None),
    ],
)
def test_each_place_is_understood(tmp_path, options, expected):
    found = size(tmp_path / "a.tif", **options)
    assert found == (None if expected is None else pytest.approx(expected))


def test_vendors_tags(shared_data):
    folder = shared_data / "vendor_formats"
    fei = read_frame(folder / "tiff_fei" / "FEI-Helios-Ebeam-8bits.tif")
    zeiss = read_frame(folder / "tiff_zeiss_sem" / "test_tiff_Zeiss_SEM_512pix.tif")
    assert fei.pixel_size_nm == pytest.approx(3372.4)
    # 5.825 nm in its tags is that of a display of 1024 pixels; the field is 5.965 um wide in 512.
    assert zeiss.pixel_size_nm == pytest.approx(11.65, rel=1e-4)
    assert zeiss.pixels.dtype == np.uint8


def test_a_stack_gives_a_frame_for_each_page(shared_data):
    frames = read_stack(shared_data / "em_bio_fibsem_fib25" / "raw_z000-119.tif")
    assert len(frames) == 120
    assert {frame.pixels.shape for frame in frames} == {(250, 250)}
