"""Numbered objects or cells, made of a probability that something else gives each pixel."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmark.baselines.family import ClassicalMethod
from model_library.images.frame import Grey
from model_library.wire.methods import MethodRef


@dataclass(frozen=True)
class Numbered:
    """A probability, and the tuned algorithm that makes numbered objects or cells of it: a `Method`.

    `ref` is what gives the probability.
    """

    probability: Callable[[Grey], Grey]
    numbering: ClassicalMethod
    ref: MethodRef
    scale: int = 1

    def __call__(self, pixels: Grey) -> Grey:
        """Give each pixel [Y, X] the number of its object or cell."""
        return self.numbering(self.probability(pixels))
