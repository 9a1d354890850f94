"""Objects that a network tells apart by their rims, against objects that a tuned watershed parts."""

from collections.abc import Sequence

import numpy as np

from benchmark.assessment import Row, row_of
from benchmark.baselines import tune
from benchmark.baselines.objects import OBJECTS
from benchmark.cases import Case
from benchmark.evaluate import evaluate
from benchmark.metrics import Metric
from benchmark.networks import SegmentingMethod
from benchmark.scores import method_key
from model_library.images.frame import Grey
from model_library.inference.weights import LoadedNetwork
from model_library.measurement.borders import objects_of
from model_library.wire.methods import NetworkRef

APART_PX, LEAST_PX = 8.0, 60
"""Cores narrower than twice the first are parted, objects smaller than the second are left out; both were
chosen on the micrographs that training saw."""


class Grown:
    """A network with a class of rims as a `Method` whose result are objects, the largest number 1."""

    def __init__(self, network: LoadedNetwork) -> None:
        self._classes = SegmentingMethod(network)

    @property
    def ref(self) -> NetworkRef:
        """Id, version and weights digest."""
        return self._classes.ref

    @property
    def scale(self) -> int:
        """Output pixels per input pixel: 1."""
        return 1

    def __call__(self, pixels: Grey) -> Grey:
        """Give each pixel [Y, X] the number of its object, as float32; 0 for none."""
        objects = objects_of(self._classes(pixels), APART_PX)
        areas = np.bincount(objects.ravel())
        order = np.argsort(-areas[1:], kind="stable")
        numbers = np.zeros(len(areas), dtype=np.float32)
        numbers[1 + order] = 1 + np.arange(len(order))
        numbers[areas < LEAST_PX] = 0
        return numbers[objects]


def object_rows(
    network: LoadedNetwork, tuning: Sequence[Case], scored: Sequence[Case], *, seed: int
) -> tuple[Row, Row]:
    """Average precision at IoU 0.5 of a network, and of the classical algorithm tuned on other cases.

    Parameters
    ----------
    network
        With a class of rims.
    tuning, scored
        Cases whose references are objects.
    seed
        Of the intervals.
    """
    method, rival = Grown(network), tune(OBJECTS, tuning)
    found = evaluate((method, rival), scored, Metric.AP50)
    keys = method_key(method.ref), method_key(rival.ref)
    own, best = (row_of(found, key, keys[1], seed) for key in keys)
    return own, best
