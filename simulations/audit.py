"""Holding written results against what their provenance claims."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, TypeAdapter

from benchmark.method import Method
from model_library.errors import SynopticError
from model_library.images.intensity import to_dtype
from model_library.images.pixel_fit import resample
from model_library.images.readers import read_frame, read_provenance
from model_library.signing.digests import sha256_file
from model_library.wire.base import Message
from model_library.wire.methods import MethodRef

_METHOD: TypeAdapter[MethodRef] = TypeAdapter(MethodRef)
_ROUNDING_COUNTS = 1
"""Another number of threads may round a pixel to the neighbouring count."""
_UNDECIDED_SHARE = 1e-4
"""It may also turn a pixel over whose two likeliest classes are equally likely."""


class Audited(Message):
    """One result file; `fault` says what contradicts its provenance, None where nothing does.

    `relabelled_px` counts the pixels of a segmentation that the repetition gives another class.
    """

    result: str
    method: str | None
    largest_difference_counts: float | None = Field(default=None, ge=0)
    relabelled_px: int | None = Field(default=None, ge=0)
    fault: str | None = None


def audit(
    pairs: Sequence[tuple[Path, Path]], method_of: Callable[[MethodRef], Method]
) -> tuple[Audited, ...]:
    """Repeat results from what their provenance names.

    Parameters
    ----------
    pairs
        (source as acquired, result as written).
    method_of
        Makes the method that a provenance names.
    """
    return tuple(_audit_one(source, result, method_of) for source, result in pairs)


def _audit_one(source: Path, result: Path, method_of: Callable[[MethodRef], Method]) -> Audited:
    try:
        claimed = read_provenance(result)
        ref = _METHOD.validate_python(claimed["method"])
        method = f"{ref.id} {ref.version}"
        digest = sha256_file(source)
        if claimed["source"]["sha256"] != digest:
            return Audited(result=result.name, method=method, fault=f"names a source other than {digest}")
        frame, written = read_frame(source), read_frame(result).pixels
        labelled = claimed["task"]["kind"] == "segment"
        dtype = np.dtype(np.uint8) if labelled else frame.pixels.dtype
        seen = resample(frame.grey, float(claimed["pixel_fit"]["factor"]))
        repeated = to_dtype(method_of(ref)(seen), dtype)
        if written.shape != repeated.shape:
            fault = f"expected shape {repeated.shape}, found {written.shape}"
            return Audited(result=result.name, method=method, fault=fault)
        held_against = _relabelled if labelled else _differing
        return held_against(result.name, method, written, repeated)
    except (SynopticError, KeyError, OSError, ValueError) as error:
        return Audited(result=result.name, method=None, fault=f"{type(error).__name__}: {error}")


def _differing(result: str, method: str, written: NDArray[Any], repeated: NDArray[Any]) -> Audited:
    largest = float(np.abs(written.astype(np.float64) - repeated.astype(np.float64)).max())
    differs = None if largest <= _ROUNDING_COUNTS else f"differs by up to {largest:g} counts"
    return Audited(result=result, method=method, largest_difference_counts=largest, fault=differs)


def _relabelled(result: str, method: str, written: NDArray[Any], repeated: NDArray[Any]) -> Audited:
    count = int(np.count_nonzero(written != repeated))
    few = count <= _UNDECIDED_SHARE * written.size
    differs = None if few else f"{count} of {written.size} pixels have another class"
    return Audited(result=result, method=method, relabelled_px=count, fault=differs)


def sample(names: Sequence[str], count: int) -> list[str]:
    """Choose a few results spread over all of them, the first and the last among them."""
    if len(names) <= count:
        return list(names)
    places = np.linspace(0, len(names) - 1, count).round().astype(int)
    return [names[place] for place in places]
