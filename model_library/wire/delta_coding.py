"""How a change of weights travels: eight or sixteen bits a number, and what that loses is not lost.

A packed change is a safetensors file, compressed with Zstandard. What rounding took away stays with
the sender as a residual, which is added to its next change (error feedback, Seide et al. 2014), so
the sum of what arrives follows the sum of what was meant. Vectors - biases, and the statistics and
gains of normalisation - travel in float32: they are few, and others rest on them. bfloat16 is not
offered: its eight digits lose a quarter of a change that is added to weights.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from imagecodecs import ZstdError, zstd_decode, zstd_encode
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from model_library.errors import CodingError
from model_library.wire.federation import Encoding

Arrays: TypeAlias = Mapping[str, NDArray[Any]]

_LEVEL = 1
_STEPS = 127
_MAGIC = b"\x28\xb5\x2f\xfd"
_SCALE = "scale:"
"""Begins the name of the scales that belong to an array of int8."""

_HEADER_BYTES, _HEADER_BYTES_PER_KEY = 1 << 16, 1 << 10


@dataclass(frozen=True, slots=True)
class Packed:
    """A change as it travels, and by key what is to be added to the next one (float32)."""

    content: bytes
    residual: dict[str, NDArray[np.float32]]


def pack(change: Arrays, encoding: Encoding, residual: Arrays | None = None) -> Packed:
    """Pack a change.

    Parameters
    ----------
    change
        float32 arrays of any shape, finite; by key.
    encoding
        Of matrices and kernels; vectors and numbers are float32 always.
    residual
        Of the change before, by the same keys; None for the first. A key that it lacks had none.

    Raises
    ------
    CodingError
        NaN or infinity, or other dtypes than float32.
    """
    stored: dict[str, NDArray[Any]] = {}
    kept: dict[str, NDArray[np.float32]] = {}
    for key, array in change.items():
        if array.dtype != np.float32 or not np.isfinite(array).all():
            raise CodingError(
                f"expected finite float32 numbers in {key}, found {array.dtype} or NaN or infinity; train "
                "with a lower learning rate"
            )
        if array.ndim < 2 or encoding == "float32":
            stored[key] = array
            continue
        meant = array + residual[key] if residual and key in residual else array
        coded = _coded(key, meant, encoding)
        stored |= coded
        kept[key] = meant - _decoded(coded[key], coded.get(_SCALE + key))
    return Packed(sealed(stored), kept)


def sealed(arrays: Arrays) -> bytes:
    """Put arrays into a file as they are: what `unpack` makes of it is for the receiver to examine."""
    return bytes(zstd_encode(save({key: dense(array) for key, array in arrays.items()}), _LEVEL))


def most_bytes(arrays: int, numbers: int) -> int:
    """Bound the unpacked bytes of a change to a network of so many arrays and numbers."""
    return 4 * numbers + _HEADER_BYTES + _HEADER_BYTES_PER_KEY * arrays


def unpack(content: bytes, most: int) -> dict[str, NDArray[np.float32]]:
    """Unpack a change that somebody else has packed, who may be hostile.

    Parameters
    ----------
    content
        As it came.
    most
        Bytes that it may unpack to (`most_bytes`); more are never allocated.

    Returns
    -------
    dict
        float32 arrays by key; whether these are the right ones is for the caller to say.

    Raises
    ------
    CodingError
        Not such a file, larger than that, or with scales that do not fit.
    """
    if not content.startswith(_MAGIC):
        raise CodingError(f"expected a change in Zstandard, found {content[:4].hex()}; update the site")
    try:
        stored = load(bytes(zstd_decode(content, out=most)))
    except (ZstdError, SafetensorError, KeyError, ValueError) as failure:
        raise CodingError(
            f"expected a packed change of at most {most} bytes, found {failure}; it is damaged or hostile"
        ) from failure
    scales = {key.removeprefix(_SCALE): stored[key] for key in stored if key.startswith(_SCALE)}
    found = {key: array for key, array in stored.items() if not key.startswith(_SCALE)}
    # Decoded, half and quarter numbers grow: the bound holds for what comes out, too.
    if 4 * sum(array.size for array in found.values()) > most:
        raise CodingError(
            f"expected a change of at most {most} bytes, found more once decoded; it is hostile"
        )
    if unused := sorted(scales.keys() - {key for key, array in found.items() if array.dtype == np.int8}):
        raise CodingError(f"expected scales of int8 arrays, found others ({len(unused)}); it is hostile")
    return {key: _checked(array, scales.get(key)) for key, array in found.items()}


def _coded(key: str, meant: NDArray[np.float32], encoding: Encoding) -> dict[str, NDArray[Any]]:
    if encoding == "float16":
        largest = np.finfo(np.float16).max
        return {key: np.clip(meant, -largest, largest).astype(np.float16)}
    scale = np.abs(meant).max(axis=tuple(range(1, meant.ndim)), initial=0.0) / np.float32(_STEPS)
    # A channel that did not change, or hardly, has no scale of its own.
    usable = np.maximum(scale, np.finfo(np.float32).tiny)
    steps = np.rint(meant / _along(usable, meant.ndim))
    return {key: np.clip(steps, -_STEPS, _STEPS).astype(np.int8), _SCALE + key: usable.astype(np.float32)}


def _decoded(array: NDArray[Any], scale: NDArray[Any] | None) -> NDArray[np.float32]:
    numbers = array.astype(np.float32)
    if scale is not None:
        numbers *= _along(scale, numbers.ndim)
    return numbers


def _checked(array: NDArray[Any], scale: NDArray[Any] | None) -> NDArray[np.float32]:
    if array.dtype not in (np.int8, np.float16, np.float32):
        raise CodingError(
            f"expected int8, float16 or float32, found an array in {array.dtype}; update the site"
        )
    if array.dtype == np.int8 and (
        scale is None or scale.dtype != np.float32 or array.ndim < 2 or scale.shape != array.shape[:1]
    ):
        raise CodingError(
            "expected a float32 scale per channel of an int8 array, found others; it is hostile"
        )
    with np.errstate(over="ignore", invalid="ignore"):
        # Scales beyond all bounds give infinities, which whoever believes the change looks for.
        return array if array.dtype == np.float32 else _decoded(array, scale)


def _along(scale: NDArray[Any], ndim: int) -> NDArray[Any]:
    return scale.reshape(scale.shape + (1,) * (ndim - 1))


def dense(array: NDArray[Any]) -> NDArray[Any]:
    """Give an array the memory order in which safetensors writes it."""
    # `ascontiguousarray` would give zero-dimensional arrays an axis.
    return array if array.flags.c_contiguous else array.copy(order="C")
