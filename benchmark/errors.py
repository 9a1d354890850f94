"""Refusals of the benchmark."""

from model_library.errors import SynopticError


class BenchmarkError(SynopticError):
    """A benchmark was asked for something that would not give a figure worth having."""


class UnpairedScores(BenchmarkError):
    """Two methods were not scored on the same fields, so no paired comparison exists."""


class UnusableResult(BenchmarkError):
    """A method returned something that cannot be scored."""


class UnknownMethod(BenchmarkError):
    """No classical method of this id, or not with these parameters, serves this task."""


class UnfitImages(BenchmarkError, ValueError):
    """Images do not allow a metric: they differ in shape, or are too small for it."""


class UncalibratedCounts(BenchmarkError):
    """Pixels are not counts of single events, so they cannot be dealt out between two halves."""
