"""Values of a JSON document, each with the place where it stands for the messages."""

from collections.abc import Iterator
from typing import Any

from model_library.annotations.untrusted import LARGEST_SIDE_PX
from model_library.errors import AnnotationError

_FURTHEST = 16 * LARGEST_SIDE_PX


class JsonReader:
    """One value of a document; asking for what it is not is a refusal.

    Parameters
    ----------
    value
        As `json` parsed it.
    where
        What messages call it.
    """

    def __init__(self, value: object, where: str) -> None:
        self.value: Any = value
        self.where = where

    def __contains__(self, key: str) -> bool:
        return isinstance(self.value, dict) and key in self.value

    def at(self, key: str) -> "JsonReader":
        """Return a member of an object."""
        if key not in self:
            raise self.wrong(f"an object with {key}")
        return JsonReader(self.value[key], f"{self.where}, {key}")

    def members(self) -> Iterator[tuple[str, "JsonReader"]]:
        """Go through an object."""
        if not isinstance(self.value, dict):
            raise self.wrong("an object")
        for key, value in self.value.items():
            yield key, JsonReader(value, f"{self.where}, {key}")

    def items(self) -> Iterator["JsonReader"]:
        """Go through a list; or through the values of an object, as VIA 1 writes lists."""
        if isinstance(self.value, dict):
            yield from (value for _, value in self.members())
            return
        if not isinstance(self.value, list):
            raise self.wrong("a list")
        for number, value in enumerate(self.value, 1):
            yield JsonReader(value, f"{self.where} {number}")

    def text(self) -> str:
        """Return a text that is not blank, without white space around it."""
        if not isinstance(self.value, str) or not self.value.strip():
            raise self.wrong("a text")
        return self.value.strip()

    def number(self) -> float:
        """Return a finite number, not far from any image."""
        # True and False are whole numbers to Python.
        if isinstance(self.value, bool) or not isinstance(self.value, int | float):
            raise self.wrong("a number")
        if not abs(self.value) <= _FURTHEST:
            raise self.wrong("a coordinate near the image")
        return float(self.value)

    def positive(self) -> float:
        """Return a number above 0."""
        found = self.number()
        if found <= 0:
            raise self.wrong("a positive number")
        return found

    def whole(self) -> int:
        """Return a whole number."""
        if isinstance(self.value, bool) or not isinstance(self.value, int):
            raise self.wrong("a whole number")
        return self.value

    def numbers(self) -> list[float]:
        """Return a list of numbers."""
        return [each.number() for each in self.items()]

    def wrong(self, expected: str) -> AnnotationError:
        """Say what was expected instead."""
        return AnnotationError(
            f"{self.where}: expected {expected}, found {repr(self.value)[:80]}; export the annotations again"
        )
