"""What a site keeps from round to round: what rounding took from its updates, and arrays of its own.

One file per round and federation, so that a round which is asked for again begins as it did before.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np
import structlog
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from model_library.images.durable import write_durably
from model_library.wire.delta_coding import dense

_RESIDUAL, _OWN = "residual:", "own:"
_SUFFIX = ".safetensors"
_LOG = structlog.get_logger("trainer")

Arrays = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Kept:
    """What one round left: residuals of its update, and the arrays that stay at this site; by key."""

    residual: Arrays = field(default_factory=dict)
    own: Arrays = field(default_factory=dict)

    @classmethod
    def read(cls, content: bytes) -> Self:
        """Read it from the bytes of a safetensors file."""
        arrays = load(content)
        return cls(_with(arrays, _RESIDUAL), _with(arrays, _OWN))

    def fits(self, weights: Arrays) -> bool:
        """Whether all of it belongs to arrays of a network."""
        return all(
            key in weights and array.shape == weights[key].shape and bool(np.isfinite(array).all())
            for arrays in (self.residual, self.own)
            for key, array in arrays.items()
        )


class KeptArrays:
    """Those of one federation; of others nothing is left once this one keeps something."""

    def __init__(self, room: Path, federation_id: str) -> None:
        self._room, self._folder = room, room / federation_id

    def before(self, number: int, weights: Arrays) -> Kept:
        """Recall what the latest round before this one left; nothing where it does not fit the network."""
        earlier = [each for each in self._numbers() if each < number]
        if not earlier:
            return Kept()
        path = self._file(max(earlier))
        try:
            kept = Kept.read(path.read_bytes())
        except (OSError, SafetensorError) as failure:
            _LOG.warning("kept-arrays-lost", path=str(path), reason=str(failure))
            return Kept()
        return kept if kept.fits(weights) else Kept()

    def keep(self, number: int, kept: Kept) -> None:
        """Keep what a round leaves, durably, and the round before it; a repetition replaces it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        arrays = {f"{_RESIDUAL}{key}": array for key, array in kept.residual.items()}
        arrays |= {f"{_OWN}{key}": array for key, array in kept.own.items()}
        write_durably(self._file(number), save({key: dense(array) for key, array in arrays.items()}))
        earlier = sorted(each for each in self._numbers() if each < number)
        for old in earlier[:-1]:
            self._file(old).unlink(missing_ok=True)
        for other in self._room.iterdir():
            if other != self._folder:
                shutil.rmtree(other, ignore_errors=True)

    def _numbers(self) -> list[int]:
        names = (path.name.removesuffix(_SUFFIX) for path in self._folder.glob(f"*{_SUFFIX}"))
        return [int(name) for name in names if name.isdecimal()]

    def _file(self, number: int) -> Path:
        return self._folder / f"{number:06d}{_SUFFIX}"


def _with(arrays: Arrays, prefix: str) -> dict[str, NDArray[np.float32]]:
    return {key.removeprefix(prefix): array for key, array in arrays.items() if key.startswith(prefix)}
