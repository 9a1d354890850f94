"""Holding written results against what their provenance claims."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field, TypeAdapter

from benchmark.method import Method
from model_library.errors import SynopticError
from model_library.images.intensity import to_dtype
from model_library.images.readers import read_frame, read_provenance
from model_library.signing.digests import sha256_file
from model_library.wire.base import Message
from model_library.wire.methods import MethodRef

_METHOD: TypeAdapter[MethodRef] = TypeAdapter(MethodRef)
_ROUNDING_COUNTS = 1
"""Another number of threads may round a pixel to the neighbouring count."""


class Audited(Message):
    """One result file; `fault` says what contradicts its provenance, None where nothing does."""

    result: str
    method: str | None
    largest_difference_counts: float | None = Field(default=None, ge=0)
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
        frame = read_frame(source)
        repeated = to_dtype(method_of(ref)(frame.grey), frame.pixels.dtype)
        return _compared(result.name, method, read_frame(result).pixels, repeated)
    except (SynopticError, KeyError, OSError, ValueError) as error:
        return Audited(result=result.name, method=None, fault=f"{type(error).__name__}: {error}")


def _compared(result: str, method: str, written: Any, repeated: Any) -> Audited:  # noqa: ANN401
    if written.shape != repeated.shape:
        fault = f"expected shape {repeated.shape}, found {written.shape}"
        return Audited(result=result, method=method, fault=fault)
    largest = float(np.abs(written.astype(np.float64) - repeated.astype(np.float64)).max())
    differs = None if largest <= _ROUNDING_COUNTS else f"differs by up to {largest:g} counts"
    return Audited(result=result, method=method, largest_difference_counts=largest, fault=differs)


def sample(names: Sequence[str], count: int) -> list[str]:
    """Choose a few results spread over all of them, the first and the last among them."""
    if len(names) <= count:
        return list(names)
    places = np.linspace(0, len(names) - 1, count).round().astype(int)
    return [names[place] for place in places]
