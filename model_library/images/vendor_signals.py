"""Signals as RosettaSciIO gives them (data, a dictionary per axis, metadata) -> axes and pixel size."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from model_library.errors import UnsupportedImage
from model_library.images.pixel_size import PixelSize, nanometres

_LONGEST_TEXT = 500
_TIMES = {"s", "ms", "us", "\u00b5s", "min", "sec"}


@dataclass(frozen=True, slots=True)
class SignalFacts:
    """What a signal is, before its pixels are decoded.

    Attributes
    ----------
    axes
        As `Recording.axes`, without axes of length 1 before Y.
    shape
        Of these axes.
    pixel_size
        Unknown where units are missing or are no lengths, as `1/nm` of a diffraction pattern.
    name
        Title; None where there is none.
    metadata
        Text by dotted name.
    """

    axes: str
    shape: tuple[int, ...]
    pixel_size: PixelSize
    name: str | None
    metadata: dict[str, str]


def signal_facts(signal: Mapping[str, Any], name: str) -> SignalFacts:
    """Judge a signal.

    Parameters
    ----------
    signal
        `data` has a shape and a dtype; `axes` hold `name`, `units`, `scale`, `size`, `navigate`.
    name
        What messages call the file.

    Raises
    ------
    UnsupportedImage
        Spectra, 4-D data, complex numbers, structures other than colours.
    """
    data, axes = signal["data"], list(signal["axes"])
    shape = tuple(int(length) for length in data.shape)
    samples = _samples(data.dtype, name)
    if len(axes) != len(shape) or len(shape) < 2:
        raise _unsupported(name, f"a signal of shape {shape}", "export an image")
    *lead, row, column = axes
    if column.get("navigate") is False and row.get("navigate"):
        raise _unsupported(name, f"spectra (shape {shape})", "export a map of one energy window")
    kept = [(axis, length) for axis, length in zip(lead, shape[:-2], strict=True) if length > 1]
    if len(kept) > 1:
        raise _unsupported(
            name, f"{2 + len(kept)}-D data of shape {shape}", "export a virtual detector's image, or a stack"
        )
    letters = "".join(_letter(axis) for axis, _ in kept)
    depth = _length(kept[0][0]) if letters == "Z" else None
    return SignalFacts(
        axes=f"{letters}YX{'S' if samples > 1 else ''}",
        shape=(*(length for _, length in kept), *shape[-2:], *((samples,) if samples > 1 else ())),
        pixel_size=PixelSize.of(_length(row), _length(column), depth),
        name=_title(signal.get("metadata", {})),
        metadata=dict(_flattened(signal.get("metadata", {}), "")) | _units(row, column),
    )


def _samples(dtype: np.dtype[Any], name: str) -> int:
    if dtype.names is not None:
        fields = [dtype[field] for field in dtype.names]
        if dtype.names[:3] == ("R", "G", "B") and len(set(fields)) == 1:
            return len(fields)
        raise _unsupported(name, f"values made of {dtype.names}", "export an image")
    if dtype.kind not in "iufb":
        raise _unsupported(name, f"{dtype} values", "export the modulus or the image itself")
    return 1


def _letter(axis: Mapping[str, Any]) -> str:
    title = str(axis.get("name") or "").lower()
    units = str(axis.get("units") or "").strip()
    if title in ("t", "time") or units in _TIMES:
        return "T"
    if title in ("z", "depth", "height") or nanometres(1.0, units) is not None:
        return "Z"
    return "I"


def _length(axis: Mapping[str, Any]) -> float | None:
    scale, units = axis.get("scale"), axis.get("units")
    return None if scale is None or not isinstance(units, str) else nanometres(float(scale), units)


def _units(row: Mapping[str, Any], column: Mapping[str, Any]) -> dict[str, str]:
    return {
        f"axis.{letter}": f"{float(axis.get('scale') or 0):.6g} {axis.get('units')}"
        for letter, axis in (("y", row), ("x", column))
        if axis.get("units")
    }


def _title(metadata: Mapping[str, Any]) -> str | None:
    general = metadata.get("General", {})
    title = general.get("title") if isinstance(general, Mapping) else None
    return str(title) if title else None


def _flattened(values: Mapping[str, Any], prefix: str) -> Sequence[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            pairs += _flattened(value, f"{prefix}{key}.")
        elif isinstance(value, str | int | float | bool) and 0 < len(str(value)) <= _LONGEST_TEXT:
            pairs.append((f"{prefix}{key}", str(value)))
    return pairs


def _unsupported(name: str, found: str, remedy: str) -> UnsupportedImage:
    return UnsupportedImage(f"{name}: expected an image or a stack of images, found {found}; {remedy}")
