"""Networks of a library as methods of a benchmark."""

import numpy as np
from scipy.special import softmax

from benchmark.method import Method
from benchmark.served import Sized
from model_library.images.frame import Grey
from model_library.images.intensity import Scaling, refuse_non_finite
from model_library.inference.engine import NetworkMethod, forward_tiled, segment
from model_library.inference.instances import LEAST_SCORE, instances
from model_library.inference.weights import LoadedNetwork
from model_library.wire.methods import NetworkRef
from model_library.wire.tasks import Segment


class SegmentingMethod:
    """A segmenting network as a `Method` whose result is class numbers."""

    def __init__(self, network: LoadedNetwork, *, self_ensemble: bool = False) -> None:
        self._network, self._self_ensemble = network, self_ensemble

    @property
    def ref(self) -> NetworkRef:
        """Id, version and weights digest."""
        return self._network.card.ref

    @property
    def scale(self) -> int:
        """Output pixels per input pixel: 1."""
        return 1

    def __call__(self, pixels: Grey) -> Grey:
        """Give each pixel [Y, X] the number of its class, as float32."""
        return segment(pixels, self._network, self_ensemble=self._self_ensemble).astype(np.float32)


def as_method(network: LoadedNetwork, *, self_ensemble: bool = False) -> Method:
    """Put a loaded network behind the port that fits its task."""
    if isinstance(network.card.task, Segment):
        return SegmentingMethod(network, self_ensemble=self_ensemble)
    return NetworkMethod(network, self_ensemble=self_ensemble)


def sized_method(network: LoadedNetwork) -> Sized:
    """Put a loaded network behind the port, with the pixel sizes of its card."""
    card = network.card
    return Sized(as_method(network), card.pixel_size_nm, gives_labels=isinstance(card.task, Segment))


class ClassProbability:
    """A segmenting network as a `Method` whose result is the probability of a class, or of one of several."""

    def __init__(self, network: LoadedNetwork, *indices: int, self_ensemble: bool = False) -> None:
        self._network, self._indices, self._self_ensemble = network, list(indices), self_ensemble

    @property
    def ref(self) -> NetworkRef:
        """Id, version and weights digest."""
        return SegmentingMethod(self._network).ref

    @property
    def scale(self) -> int:
        """Output pixels per input pixel: 1."""
        return 1

    def __call__(self, pixels: Grey) -> Grey:
        """Give each pixel [Y, X] the probability that it has one of the classes, in [0, 1]."""
        refuse_non_finite(pixels, "image")
        unit = Scaling.of(pixels).apply(pixels)[None]
        scores = forward_tiled(self._network, unit, self_ensemble=self._self_ensemble)
        share: Grey = softmax(scores, axis=0)[self._indices].sum(axis=0).astype(np.float32)
        return share


class Detecting:
    """Mask R-CNN as a `Method` whose result is numbers of objects of one class, the most certain number 1.

    Objects of a lower score than `least_score` are left out.
    """

    def __init__(self, network: LoadedNetwork, index: int, *, least_score: float = LEAST_SCORE) -> None:
        self._network, self._index, self._least_score = network, index, least_score

    @property
    def ref(self) -> NetworkRef:
        """Id, version and weights digest."""
        return SegmentingMethod(self._network).ref

    @property
    def scale(self) -> int:
        """Output pixels per input pixel: 1."""
        return 1

    def __call__(self, pixels: Grey) -> Grey:
        """Give each pixel [Y, X] the number of its object, as float32; 0 for none."""
        found = instances(pixels, self._network, least_score=self._least_score)
        wanted = found.classes == self._index
        numbers = np.zeros(len(wanted) + 1, dtype=np.float32)
        numbers[1:][wanted] = 1 + np.arange(int(wanted.sum()))
        return numbers[found.labels]
