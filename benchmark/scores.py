"""Scores of several methods on the same cases."""

from collections.abc import Sequence

from pydantic import Field

from benchmark.errors import BenchmarkError
from benchmark.method import Method
from benchmark.metrics import Metric
from model_library.wire.base import Message
from model_library.wire.methods import ClassicalRef, MethodRef, NetworkRef


def method_key(ref: MethodRef) -> str:
    """Name of a method within one benchmark: `id@version` of a network, `id` of a classical algorithm."""
    match ref:
        case NetworkRef():
            return f"{ref.id}@{ref.version}"
        case ClassicalRef():
            return ref.id


def refs_of(methods: Sequence[Method]) -> dict[str, MethodRef]:
    """Name each method by its key.

    Raises
    ------
    BenchmarkError
        Two methods bear the same name.
    """
    refs = {method_key(method.ref): method.ref for method in methods}
    if len(refs) < len(methods):
        raise BenchmarkError(
            f"expected methods of different names, found {len(refs)} names of {len(methods)} methods;"
            " name each version once"
        )
    return refs


class Scores(Message):
    """Per-case scores of several methods.

    Attributes
    ----------
    metric
        What `values` measure.
    fields, names
        Field of view and name of each case, in order.
    refs
        Method key -> the method.
    values
        Method key -> one score per case, None where the method failed or gave no finite score.
    seconds
        Method key -> wall time over all cases.
    megapixels
        Input size of all cases together.
    failures
        Method key -> the first failure, in words.
    left
        Method key -> why it left a race early, in words; it has no score on the cases after that.
    undecided
        Method key -> how far it was behind when the race had spent its budget, in words: a tie.
    runs
        Method key -> on how many of the cases, from the first on, it was run; all where it is not told.
    """

    metric: Metric
    fields: tuple[str, ...]
    names: tuple[str, ...]
    refs: dict[str, MethodRef]
    values: dict[str, tuple[float | None, ...]]
    seconds: dict[str, float] = Field(default_factory=dict)
    megapixels: float = 0.0
    failures: dict[str, str] = Field(default_factory=dict)
    left: dict[str, str] = Field(default_factory=dict)
    undecided: dict[str, str] = Field(default_factory=dict)
    runs: dict[str, int] = Field(default_factory=dict)

    @property
    def only(self) -> MethodRef:
        """The one method of these scores."""
        [ref] = self.refs.values()
        return ref

    def by_field(self, key: str) -> dict[str, float | None]:
        """Score per field of view: the mean of its cases, None if any of them has none."""
        if key not in self.values:
            raise BenchmarkError(f"expected one of {', '.join(sorted(self.values))}, found {key}")
        cases: dict[str, list[float | None]] = {}
        for field, value in zip(self.fields, self.values[key], strict=True):
            cases.setdefault(field, []).append(value)
        return {field: _mean(values) for field, values in cases.items()}

    def paired(self, key: str, other: str) -> tuple[dict[str, float], dict[str, float]]:
        """Score per field of view of two methods, on the cases that both were scored on."""
        pairs: dict[str, list[tuple[float, float]]] = {}
        for field, one, two in zip(self.fields, self.values[key], self.values[other], strict=True):
            if one is not None and two is not None:
                pairs.setdefault(field, []).append((one, two))
        return (
            {field: sum(one for one, _ in found) / len(found) for field, found in pairs.items()},
            {field: sum(two for _, two in found) / len(found) for field, found in pairs.items()},
        )

    def complete(self, key: str) -> dict[str, float] | None:
        """Score per field of view, or None if the method lacks a score on any."""
        fields = self.by_field(key)
        finite = {field: value for field, value in fields.items() if value is not None}
        return finite if len(finite) == len(fields) else None

    def mean(self, key: str) -> float | None:
        """Mean over fields, None if the method lacks a score on any."""
        finite = self.complete(key)
        return sum(finite.values()) / len(finite) if finite else None

    def megapixels_per_s(self, key: str) -> float | None:
        """Input megapixels restored per second of wall time; None for one that left early."""
        seconds = self.seconds.get(key, 0.0)
        return self.megapixels / seconds if seconds > 0 and key not in self.left else None


def _mean(values: list[float | None]) -> float | None:
    finite = [value for value in values if value is not None]
    return sum(finite) / len(finite) if len(finite) == len(values) else None
