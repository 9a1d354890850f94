"""How an image was acquired, out of the pairs that instruments write into their files."""

import math
import re
from collections.abc import Callable, Mapping, Sequence

from model_library.wire.images import AcquisitionFacts

_LONGEST_NAME = 100
_MAGNITUDES = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6}
_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "\u00b5s": 1e-6, "\u03bcs": 1e-6, "ns": 1e-9}
_VOLTS = {"V": 1.0, "kV": 1e3, "KV": 1e3}
_NUMBER = r"\s*([+-]?\d[\d.]*(?:[eE][+-]?\d+)?)\s*"

Read = Callable[[str], float | None]


def _plain(factor: float = 1.0) -> Read:
    return lambda text: _number(text, factor)


def _with_unit(units: Mapping[str, float], factor: float) -> Read:
    def read(text: str) -> float | None:
        found = re.fullmatch(_NUMBER + r"(\S+)\s*", text)
        unit = units.get(found.group(2)) if found else None
        return None if found is None or unit is None else _number(found.group(1), unit * factor)

    return read


def _zeiss_magnification(text: str) -> float | None:
    """Read such as `50.00 K X`."""
    found = re.fullmatch(_NUMBER + r"([kKM]?)\s*[xX]\s*", text)
    return _number(found.group(1), _MAGNITUDES[found.group(2)]) if found else None


_TEM, _SEM = "Acquisition_instrument.TEM", "Acquisition_instrument.SEM"
_BEAM_KV: Sequence[tuple[str, Read]] = (
    ("beam_kv", _plain()),
    ("Beam.HV", _plain(1e-3)),
    ("EBeam.HV", _plain(1e-3)),
    ("ap_actualkv", _with_unit(_VOLTS, 1e-3)),
    ("ap_manualkv", _with_unit(_VOLTS, 1e-3)),
    ("ElectronGun.AccelerationVoltage", _plain(1e-3)),
    (f"{_TEM}.beam_energy", _plain()),
    (f"{_SEM}.beam_energy", _plain()),
)
_DWELL_US: Sequence[tuple[str, Read]] = (
    ("dwell_us", _plain()),
    ("Scan.Dwelltime", _plain(1e6)),
    ("EScan.Dwell", _plain(1e6)),
    ("dp_dwell_time", _with_unit(_SECONDS, 1e6)),
    (f"{_SEM}.dwell_time", _plain(1e6)),
)
_MAGNIFICATION: Sequence[tuple[str, Read]] = (
    ("magnification", _plain()),
    ("ap_mag", _zeiss_magnification),
    ("ImageFormingSystem.SelectorValue", _plain()),
    (f"{_TEM}.magnification", _plain()),
    (f"{_SEM}.magnification", _plain()),
)
_DOSE: Sequence[tuple[str, Read]] = (("dose_e_per_A2", _plain()),)
_DETECTOR = (
    "detector",
    "Detectors.Name",
    "dp_detector_channel",
    "ImageSourceDetector",
    f"{_TEM}.Detector.detector_type",
    f"{_SEM}.Detector.detector_type",
)


def acquisition_of(metadata: Mapping[str, str]) -> AcquisitionFacts | None:
    """Tell beam, dose, dwell, detector and magnification, where the file has them.

    Parameters
    ----------
    metadata
        Pairs as `Frame.metadata` has them: tags of FEI and Thermo Fisher, Zeiss, Olympus and JEOL, HyperSpy's
        names, or those of `AcquisitionFacts` itself. What is no positive number counts as untold.

    Returns
    -------
    None where the file tells nothing of the kind.
    """
    facts = AcquisitionFacts(
        beam_kv=_first(metadata, _BEAM_KV),
        dose_e_per_A2=_first(metadata, _DOSE),
        dwell_us=_first(metadata, _DWELL_US),
        detector=_detector(metadata),
        magnification=_first(metadata, _MAGNIFICATION),
    )
    return None if facts == AcquisitionFacts() else facts


def _first(metadata: Mapping[str, str], places: Sequence[tuple[str, Read]]) -> float | None:
    found = (read(metadata[name]) for name, read in places if name in metadata)
    return next((value for value in found if value is not None), None)


def _detector(metadata: Mapping[str, str]) -> str | None:
    names = (" ".join(metadata[name].split()) for name in _DETECTOR if name in metadata)
    return next((name for name in names if name.isprintable() and 0 < len(name) <= _LONGEST_NAME), None)


def _number(text: str, factor: float) -> float | None:
    try:
        value = float(text) * factor
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None
