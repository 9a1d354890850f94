"""A 2.5-D network on slices of a stack."""

import numpy as np
from numpy.typing import NDArray

from benchmark.cases import Case, Labels
from benchmark.errors import BenchmarkError
from model_library.images.frame import Grey
from model_library.images.intensity import Scaling
from model_library.inference.engine import forward_tiled
from model_library.inference.weights import LoadedNetwork
from model_library.networks.build import in_channels
from model_library.networks.channels import neighbouring_slices
from model_library.wire.methods import NetworkRef
from model_library.zoo.stacks import LabelledStack

STEP = 4
"""Every so many slices one is scored: those between show nearly the same."""


class InStack:
    """A segmenting network of neighbouring slices as a `Method`: it knows the stack of the slice it is given.

    Parameters
    ----------
    network
        Its input channels are slices.
    stack
        float32 [Z, Y, X], counts.
    """

    def __init__(self, network: LoadedNetwork, stack: Grey) -> None:
        self._network, self._stack = network, stack
        # As where it serves (`inference.stacks`): one scaling for the whole stack.
        self._scaling = Scaling.of(stack)

    @property
    def ref(self) -> NetworkRef:
        """Id, version and weights digest."""
        card = self._network.card
        return NetworkRef(id=card.id, version=card.version, weights_sha256=card.weights_sha256)

    @property
    def scale(self) -> int:
        """Output pixels per input pixel: 1."""
        return 1

    def __call__(self, pixels: Grey) -> Grey:
        """Give each pixel [Y, X] of a slice the number of its class, as float32; refusals as in `scores`."""
        classes: Grey = self.scores(pixels).argmax(axis=0).astype(np.float32)
        return classes

    def scores(self, pixels: Grey) -> NDArray[np.float32]:
        """Give each pixel [Y, X] of a slice a score per class, float32 [C, Y, X].

        Raises
        ------
        BenchmarkError
            The slice is none of the stack.
        """
        places = [z for z, each in enumerate(self._stack) if np.array_equal(each, pixels)]
        if not places:
            raise BenchmarkError("expected a slice of the stack, found another image; give its own stack")
        seen = neighbouring_slices(self._stack, places[0], in_channels(self._network.card.config))
        return forward_tiled(self._network, self._scaling.apply(seen))


def slice_cases(stack: LabelledStack, at_most: int) -> tuple[Case, ...]:
    """Slices of a stack, far enough from each other and from its ends; each is a field."""
    places = range(STEP // 2, len(stack.pixels) - STEP // 2, STEP)
    return tuple(
        Case(
            f"slice {stack.first + z}", f"slice {stack.first + z}", stack.pixels[z], Labels(stack.membrane[z])
        )
        for z in list(places)[:at_most]
    )
