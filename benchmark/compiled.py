"""Loops compiled by numba, where it is installed and the work is large enough to pay for loading it."""

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import TypeVar, cast

LEAST_PX = 1 << 20
"""Pixels from which compiled loops are used: loading them takes the time of some smaller images."""

F = TypeVar("F", bound=Callable[..., object])


def worth_compiling(pixels: int) -> bool:
    """Whether compiled loops are to be used for so many pixels."""
    return pixels >= LEAST_PX and _has_numba()


def compiled(function: F) -> F:
    """Compile a function of arrays at its first call, in strict IEEE order, kept on disk between processes.

    Only for modules that are imported where `worth_compiling` says so.
    """
    import numba

    try:
        return cast("F", numba.njit(cache=True, nogil=True)(function))
    except RuntimeError:
        # Neither the package's folder nor a cache folder can be written to.
        return cast("F", numba.njit(nogil=True)(function))


@cache
def _has_numba() -> bool:
    return find_spec("numba") is not None
