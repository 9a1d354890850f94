"""Other work on a computer makes networks slower, never faster, and weights cost nothing."""

import numpy as np

from benchmark.selection.throughput import throughputs
from model_library.wire.methods import ClassicalRef

PIXELS = np.zeros((100, 100), np.float32)


class Clocked:
    """A method that moves the clock on by the next of its times."""

    scale = 1

    def __init__(self, name, clock, seconds):
        self.ref = ClassicalRef(id=name)
        self._clock, self._seconds = clock, iter(seconds)

    def __call__(self, pixels):
        self._clock[0] += next(self._seconds)
        return pixels


def test_the_fastest_time_after_the_first_sight_counts_and_equal_networks_are_equally_fast():
    clock = [0.0]
    methods = [
        Clocked("tv", clock, (0.001, 0.04, 0.02, 0.03)),
        Clocked("nlm", clock, (0.001, 0.05, 0.05, 0.01)),
        Clocked("median", clock, (0.001, 0.10, 0.30, 0.20)),
    ]
    found = throughputs(methods, PIXELS, {"tv": "a", "nlm": "a", "median": "b"}, lambda: clock[0])
    assert {key: round(value, 9) for key, value in found.items()} == {"tv": 1.0, "nlm": 1.0, "median": 0.1}


def test_a_clock_that_stands_still_tells_nothing():
    assert throughputs([Clocked("tv", [0.0], [0] * 4)], PIXELS, {"tv": "a"}, lambda: 0.0) == {}
