"""Who takes part in a case: the networks of the library for its task, and the classical families."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.special import softmax

from benchmark.assessment import classical_rivals
from benchmark.baselines import Family, train_numbered_pixels, tune
from benchmark.baselines.merging import MERGED_CELLS
from benchmark.baselines.numbered import Numbered
from benchmark.baselines.objects import CELLS, OBJECTS
from benchmark.cases import Case
from benchmark.evaluate import evaluate
from benchmark.method import Method
from benchmark.networks import ClassProbability, Detecting, as_method
from benchmark.real.sources import Part
from benchmark.real.table import Form, Labelled, RealCase
from benchmark.rims import Grown
from benchmark.scores import method_key
from benchmark.slices import InStack
from model_library.cards.card import NetworkCard
from model_library.images.frame import Grey
from model_library.images.readers import read_stack
from model_library.inference.weights import LoadedNetwork
from model_library.networks.config import MaskRCNNConfig
from model_library.wire.methods import NetworkRef
from model_library.wire.tasks import Segment
from model_library.zoo.registry import Library

LEAST_SCORES = (0.5, 0.2, 0.35, 0.65, 0.8)
"""Of the objects of a network that detects them: one of these is tuned; of equal ones, the first."""
RIM = "rim"
"""Class of the pixels at which touching objects come apart."""


def families(case: RealCase) -> tuple[Family, ...]:
    """Algorithms that number the cells or objects that a case asks for."""
    match case.how:
        case Labelled(form=Form.CELLS):
            return (CELLS, MERGED_CELLS)
        case _:
            return (OBJECTS,)


def rivals_of(case: RealCase, tuning: Sequence[Case], seed: int) -> list[Method]:
    """Classical algorithms tuned for a case, and the random forest trained for it where it has labels."""
    match case.how:
        case Labelled(form=Form.CELLS | Form.OBJECTS):
            tuned = [tune(family, tuning, metric=case.metrics[0]) for family in families(case)]
            return [*tuned, train_numbered_pixels(families(case)[0], tuning, seed=seed)]
        case _:
            return list(classical_rivals(case.task, tuning, case.metrics[0], seed=seed))


def entrants(case: RealCase, library: Library) -> tuple[NetworkCard, ...]:
    """Cards of the networks that can do a case: its very task, or a segmentation that knows the target.

    A network of neighbouring slices needs a stack, one of colours finds none here, and one that detects
    objects is asked for objects alone.
    """
    inputs = {"grey", "slices"} if case.source.scored_pages else {"grey"}
    cards = [library.card(network_id) for network_id in library.ids()]
    return tuple(card for card in cards if card.config.channels in inputs and _fits(card, case))


def class_index(card: NetworkCard, how: Labelled) -> int | None:
    """Find the target among the classes of a segmenting network; None where it does not know it."""
    if not isinstance(card.task, Segment):
        return None
    known = [name for name in (how.target, *how.also) if name in card.task.classes[1:]]
    return card.task.classes.index(known[0]) if known else None


def _fits(card: NetworkCard, case: RealCase) -> bool:
    if not isinstance(case.how, Labelled):
        return card.task == case.task
    detects = isinstance(card.config, MaskRCNNConfig)
    return class_index(card, case.how) is not None and (case.how.form is Form.OBJECTS or not detects)


def contestant(
    network: LoadedNetwork,
    case: RealCase,
    tuning: Sequence[Case],
    data: Path,
    *,
    self_ensemble: bool = False,
) -> Method:
    """Make a network give what the case asks for.

    Where cells or objects are asked for, what follows the network (smoothing, level, least size, the least
    score of what is detected) is tuned on the tuning cases, as it is for the classical algorithms; of several
    ways, the one that does best there is taken. Of a network with a class of rims there are two readings,
    objects that grow from their cores and objects parted where they are narrow; the one that does better on
    the tuning cases is taken.
    """
    if not isinstance(case.how, Labelled):
        return as_method(network, self_ensemble=self_ensemble)
    index = class_index(network.card, case.how)
    assert index is not None
    assert isinstance(network.card.task, Segment)
    if isinstance(network.card.config, MaskRCNNConfig):
        detectors = [Detecting(network, index, least_score=score) for score in LEAST_SCORES]
        return max(detectors, key=lambda detector: _value(detector, tuning))
    if case.how.form is Form.OBJECTS and RIM in network.card.task.classes:
        both = (index, network.card.task.classes.index(RIM))
        whole_objects = ClassProbability(network, *both, self_ensemble=self_ensemble)
        return _better(Grown(network), _refined(whole_objects, case, tuning), tuning)
    stacked = network.card.config.channels == "slices"
    in_stack = InStack(network, _stack(case, data)) if stacked else None
    if case.how.form is Form.MASK:
        return OneClass(in_stack or as_method(network, self_ensemble=self_ensemble), index)
    if in_stack:
        return _refined(StackProbability(in_stack, index), case, tuning)
    return _refined(ClassProbability(network, index, self_ensemble=self_ensemble), case, tuning)


def _refined(probability: Method, case: RealCase, tuning: Sequence[Case]) -> Method:
    seen = [replace(each, input=probability(each.input)) for each in tuning]
    first, *others = (Numbered(probability, tune(family, seen), probability.ref) for family in families(case))
    best = first
    for other in others:
        best = other if _value(other.numbering, seen) > _value(best.numbering, seen) else best
    return best


def _better(one: Method, other: Method, tuning: Sequence[Case]) -> Method:
    return other if _value(other, tuning) > _value(one, tuning) else one


def _value(method: Method, tuning: Sequence[Case]) -> float:
    return (evaluate((method,), tuning).mean(method_key(method.ref)) if tuning else None) or 0.0


def _stack(case: RealCase, data: Path) -> Grey:
    (path,) = case.source.files(data, Part.SCORED)
    return np.stack([page.grey for page in read_stack(path)])


def _network_ref(method: Method) -> NetworkRef:
    assert isinstance(method.ref, NetworkRef)
    return method.ref


@dataclass(frozen=True)
class OneClass:
    """A segmenting method that tells one class from all others."""

    method: Method
    index: int
    scale: int = 1

    @property
    def ref(self) -> NetworkRef:
        """What the segmenting method is."""
        return _network_ref(self.method)

    def __call__(self, pixels: Grey) -> Grey:
        """Give 1 where a pixel [Y, X] has the class, else 0."""
        return np.asarray(self.method(pixels) == self.index, dtype=np.float32)


@dataclass(frozen=True)
class StackProbability:
    """The probability of one class in a slice of a stack."""

    method: InStack
    index: int
    scale: int = 1

    @property
    def ref(self) -> NetworkRef:
        """What the network is."""
        return self.method.ref

    def __call__(self, pixels: Grey) -> Grey:
        """Give each pixel [Y, X] of a slice the probability of the class, in [0, 1]."""
        share: Grey = softmax(self.method.scores(pixels), axis=0)[self.index].astype(np.float32)
        return share
