"""Arrays in a file, read one at a time: a network on disk costs no memory until it is needed."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from coordinator.federation.plan import FederationFileError


class StoredArrays(Mapping[str, NDArray[Any]]):
    """A safetensors file as a mapping; each access reads one array, keys are sorted.

    Raises
    ------
    FederationFileError
        The file is missing or malformed.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._file = safe_open(path, framework="np")
            self._keys: tuple[str, ...] = tuple(sorted(self._file.keys()))  # type: ignore[no-untyped-call]
        except (OSError, SafetensorError) as failure:
            raise FederationFileError(
                f"{path}: expected arrays, found {failure}; start the federation again"
            ) from failure

    def __getitem__(self, key: str) -> NDArray[Any]:
        """Read an array."""
        if key not in self._keys:
            raise KeyError(key)
        array: NDArray[Any] = self._file.get_tensor(key)  # type: ignore[no-untyped-call]
        return array

    def __iter__(self) -> Iterator[str]:
        """Go through the keys."""
        return iter(self._keys)

    def __len__(self) -> int:
        """Count the arrays."""
        return len(self._keys)
