"""Choosing a classical algorithm's parameters on tuning cases."""

from collections.abc import Mapping, Sequence

from benchmark.baselines.family import ClassicalMethod, Family
from benchmark.cases import Case, default_metric
from benchmark.errors import BenchmarkError
from benchmark.evaluate import evaluate
from benchmark.metrics import Metric
from benchmark.scores import method_key

_Point = tuple[int, ...]


def tune(
    family: Family, cases: Sequence[Case], *, scale: int = 1, metric: Metric | None = None
) -> ClassicalMethod:
    """Find the grid point of the highest mean score over the tuning cases' fields.

    Climbs along one parameter after the other from `family.start`, until none of its neighbours is
    better; the scores of a smoothing strength have one maximum, so this finds the best of the grid
    at a fraction of its cost.

    Parameters
    ----------
    cases
        Of tuning fields only: what the methods are compared on later must not be among them.
    scale
        Output pixels per input pixel.
    metric
        By default the one that the cases' references call for.

    Raises
    ------
    BenchmarkError
        Without cases, or if the algorithm gives no finite score at its start.
    """
    if not cases:
        raise BenchmarkError(f"expected tuning cases for {family.id}, found none; send images first")
    search = _Search(family, cases, scale, metric or default_metric(cases[0].reference))
    point = search.climb()
    return ClassicalMethod(family, search.parameters(point), scale)


class _Search:
    def __init__(self, family: Family, cases: Sequence[Case], scale: int, metric: Metric) -> None:
        self.family, self.cases, self.scale, self.metric = family, cases, scale, metric
        self.names = tuple(family.grid)
        self.known: dict[_Point, float] = {}

    def parameters(self, point: _Point) -> Mapping[str, float]:
        return {name: self.family.grid[name][index] for name, index in zip(self.names, point, strict=True)}

    def climb(self) -> _Point:
        point = tuple(self.family.grid[name].index(self.family.start[name]) for name in self.names)
        if self.value(point) == float("-inf"):
            raise BenchmarkError(
                f"expected finite scores of {self.family.id} on the tuning cases, found none"
            )
        moved = True
        while moved:
            before = point
            for axis in range(len(self.names)):
                point = self._along(point, axis)
            moved = point != before
        return point

    def _along(self, point: _Point, axis: int) -> _Point:
        for step in (1, -1):
            while (candidate := self._step(point, axis, step)) and self.value(candidate) > self.value(point):
                point = candidate
        return point

    def _step(self, point: _Point, axis: int, step: int) -> _Point | None:
        index = point[axis] + step
        if not 0 <= index < len(self.family.grid[self.names[axis]]):
            return None
        return (*point[:axis], index, *point[axis + 1 :])

    def value(self, point: _Point) -> float:
        if point not in self.known:
            method = ClassicalMethod(self.family, self.parameters(point), self.scale)
            mean = evaluate((method,), self.cases, self.metric).mean(method_key(method.ref))
            self.known[point] = self.metric.sign * mean if mean is not None else float("-inf")
        return self.known[point]
