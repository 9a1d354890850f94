"""Beam, dwell, detector and magnification, as each vendor writes them; what is nonsense counts as untold."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_library.images.acquisition_facts import acquisition_of
from model_library.images.contents import read_contents, read_grey_frame
from model_library.images.frame import Frame
from model_library.images.inspector import inspect
from model_library.images.writers import encode_acquisition
from model_library.wire.images import AcquisitionFacts

OWN = {
    "beam_kv": "300",
    "dose_e_per_A2": "25.5",
    "dwell_us": "2",
    "detector": "HAADF",
    "magnification": "1e5",
}


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        (
            {"Beam.HV": "5000", "Scan.Dwelltime": "1e-05", "Detectors.Name": "ETD"},
            AcquisitionFacts(beam_kv=5, dwell_us=10, detector="ETD"),
        ),
        (
            {"ap_actualkv": "1.5 kV", "ap_mag": "50.00 K X", "dp_detector_channel": "InLens"},
            AcquisitionFacts(beam_kv=1.5, magnification=50_000, detector="InLens"),
        ),
        ({"ap_actualkv": "500 V", "dp_dwell_time": "100 ns"}, AcquisitionFacts(beam_kv=0.5, dwell_us=0.1)),
        ({"ap_mag": "830 X"}, AcquisitionFacts(magnification=830)),
        (
            {"ElectronGun.AccelerationVoltage": "200000", "ImageFormingSystem.SelectorValue": "150000"},
            AcquisitionFacts(beam_kv=200, magnification=150_000),
        ),
        (
            {"Acquisition_instrument.TEM.beam_energy": "200.0"},
            AcquisitionFacts(beam_kv=200),
        ),
        (
            OWN,
            AcquisitionFacts(
                beam_kv=300, dose_e_per_A2=25.5, dwell_us=2, detector="HAADF", magnification=100_000
            ),
        ),
    ],
)
def test_each_vendors_names_and_units(pairs: dict[str, str], expected: AcquisitionFacts) -> None:
    assert acquisition_of(pairs) == expected


@pytest.mark.parametrize(
    "pairs",
    [
        {},
        {"Beam.HV": "", "ap_mag": "Auto", "Scan.Dwelltime": "-1"},
        {"beam_kv": "nan", "magnification": "inf", "dwell_us": "0"},
        {"ap_actualkv": "5.0 furlongs", "detector": "  "},
        {"detector": "x" * 101},
        {"detector": "a\x00b"},
    ],
)
def test_what_is_no_such_thing_counts_as_untold(pairs: dict[str, str]) -> None:
    assert acquisition_of(pairs) is None


@given(st.dictionaries(st.sampled_from([*OWN, "Beam.HV", "ap_mag", "ap_actualkv"]), st.text(max_size=30)))
def test_no_text_of_a_file_is_too_strange(pairs: dict[str, str]) -> None:
    found = acquisition_of(pairs)
    assert found is None or AcquisitionFacts.model_validate_json(found.model_dump_json()) == found


def test_the_inspector_tells_what_the_file_says(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).poisson(100, (64, 64)).astype(np.uint16)
    path = tmp_path / "scan.ome.tif"
    path.write_bytes(encode_acquisition(Frame(pixels, 4.0, metadata=OWN)))
    assert AcquisitionFacts.model_validate(inspect(path, last_look=False)["acquisition"]) == acquisition_of(
        OWN
    )
    path.write_bytes(encode_acquisition(Frame(pixels, 4.0)))
    assert inspect(path, last_look=False)["acquisition"] is None


def test_real_files_of_fei_zeiss_and_jeol(shared_data: Path, tmp_path: Path) -> None:
    vendors = shared_data / "vendor_formats"
    fei = acquisition_of(read_grey_frame(vendors / "tiff_fei" / "FEI-Helios-Ebeam-8bits.tif").metadata)
    assert fei == AcquisitionFacts(beam_kv=5, dwell_us=10, detector="ETD")
    zeiss = read_grey_frame(vendors / "tiff_zeiss_sem" / "test_tiff_Zeiss_SEM_512pix.tif")
    assert acquisition_of(zeiss.metadata) == AcquisitionFacts(
        beam_kv=5, detector="InLens", magnification=50_000
    )
    jeol = tmp_path / "jeol.tif"
    jeol.write_bytes(
        gzip.decompress((vendors / "tiff_jeol" / "JEOL-SightX-TEM-mag-dummy.tif.gz").read_bytes())
    )
    [recording] = read_contents(jeol).recordings
    assert acquisition_of(recording.metadata) == AcquisitionFacts(
        beam_kv=200, detector="screenCamera", magnification=150_000
    )
