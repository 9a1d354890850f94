"""An ONNX operator with its inputs, and the step that it becomes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_library.errors import ExchangeError
from model_library.networks.graph_config import Step

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Node:
    """An operator: attributes, and for each input the value of an earlier step or a constant."""

    operator: str
    attributes: Mapping[str, Any]
    values: tuple[int | None, ...]
    constants: tuple[Array | None, ...]

    def refuse(self, expected: str, found: object) -> ExchangeError:
        """Make the refusal."""
        return ExchangeError(
            f"expected {self.operator} with {expected}, found {found}; export the network with that"
        )

    def value(self, place: int = 0) -> int:
        """Give the earlier value at an input; raises `ExchangeError`."""
        found = self.values[place] if place < len(self.values) else None
        if found is None:
            raise self.refuse("images as input", f"a constant or nothing at input {place}")
        return found

    def constant(self, place: int) -> Array:
        """Give the constant at an input; raises `ExchangeError`."""
        found = self.constants[place] if place < len(self.constants) else None
        if found is None:
            raise self.refuse("constant weights", f"something that is computed, or nothing, at input {place}")
        return found

    def numbers(self, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
        """Give an attribute of several whole numbers."""
        return tuple(int(each) for each in self.attributes.get(name, default))

    def text(self, name: str, default: str) -> str:
        """Give an attribute that is a word."""
        found = self.attributes.get(name, default)
        return found.decode() if isinstance(found, bytes) else str(found)


@dataclass(frozen=True, slots=True)
class Found:
    """A step and its weights, by the names of its layer."""

    step: Step
    weights: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
