"""Methods by the names that a command line gives them."""

from benchmark.baselines import classical_methods
from model_library.wire.methods import ClassicalRef, MethodRef, NetworkRef
from model_library.wire.tasks import Denoise
from model_library.zoo.registry import Library
from simulations.errors import ScenarioError


def method_named(name: str) -> MethodRef:
    """Find a classical algorithm, or a network of the library, that denoises.

    Raises
    ------
    ScenarioError
        There is none of this name.
    """
    families = [family.id for family in classical_methods(Denoise())]
    if name in families:
        return ClassicalRef(id=name)
    cards = {card.id: card for card in Library(None).for_task(Denoise())}
    if name not in cards:
        raise ScenarioError(
            f"expected one of {', '.join([*families, *cards])}, found {name!r}; choose one of these"
        )
    card = cards[name]
    return NetworkRef(id=card.id, version=card.version, weights_sha256=card.weights_sha256)
