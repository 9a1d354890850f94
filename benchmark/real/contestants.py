"""Who takes part in a case: the networks of the library for its task, and the classical families."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmark.baselines import ClassicalMethod, Family, classical_methods, tune
from benchmark.baselines.objects import CELLS, OBJECTS
from benchmark.cases import Case
from benchmark.method import Method
from benchmark.networks import ClassProbability, as_method
from benchmark.real.table import Form, Labelled, RealCase
from model_library.cards.card import NetworkCard
from model_library.images.frame import Grey
from model_library.inference.weights import LoadedNetwork
from model_library.wire.methods import NetworkRef
from model_library.wire.tasks import Segment
from model_library.zoo.registry import Library


def families(case: RealCase) -> tuple[Family, ...]:
    """Classical algorithms that are tuned for a case."""
    match case.how:
        case Labelled(form=Form.CELLS):
            return (CELLS,)
        case Labelled(form=Form.OBJECTS):
            return (OBJECTS,)
        case _:
            return classical_methods(case.task)


def entrants(case: RealCase, library: Library) -> tuple[NetworkCard, ...]:
    """Cards of the networks that can do a case: its very task, or a segmentation that knows the target."""
    if not isinstance(case.how, Labelled):
        return library.for_task(case.task)
    cards = [library.card(network_id) for network_id in library.ids()]
    return tuple(card for card in cards if class_index(card, case.how.target) is not None)


def class_index(card: NetworkCard, target: str) -> int | None:
    """Find the class among those of a segmenting network; None where it does not know it."""
    if not isinstance(card.task, Segment) or target not in card.task.classes[1:]:
        return None
    return card.task.classes.index(target)


def contestant(network: LoadedNetwork, case: RealCase, tuning: Sequence[Case]) -> Method:
    """Make a network give what the case asks for.

    Where cells or objects are asked for, what follows the network (smoothing, level, least size) is tuned on
    the tuning cases, as it is for the classical algorithms.
    """
    if not isinstance(case.how, Labelled):
        return as_method(network)
    index = class_index(network.card, case.how.target)
    assert index is not None
    probability = ClassProbability(network, index)
    if case.how.form is Form.MASK:
        return OneClass(as_method(network), index)
    seen = [replace(each, input=probability(each.input)) for each in tuning]
    return Refined(probability, tune(families(case)[0], seen))


@dataclass(frozen=True)
class OneClass:
    """A segmenting method that tells one class from all others."""

    method: Method
    index: int
    scale: int = 1

    @property
    def ref(self) -> NetworkRef:
        """What the segmenting method is."""
        assert isinstance(self.method.ref, NetworkRef)
        return self.method.ref

    def __call__(self, pixels: Grey) -> Grey:
        """Give 1 where a pixel [Y, X] has the class, else 0."""
        return np.asarray(self.method(pixels) == self.index, dtype=np.float32)


@dataclass(frozen=True)
class Refined:
    """A network's class probability, and the tuned algorithm that makes numbers of it."""

    probability: ClassProbability
    numbering: ClassicalMethod
    scale: int = 1

    @property
    def ref(self) -> NetworkRef:
        """What the network is."""
        return self.probability.ref

    def __call__(self, pixels: Grey) -> Grey:
        """Give each pixel [Y, X] the number of its cell or object."""
        return self.numbering(self.probability(pixels))
