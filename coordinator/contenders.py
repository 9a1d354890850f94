"""Which networks are ranked for an instrument, each as it would be served there."""

from dataclasses import dataclass

from benchmark.selection import Contender
from benchmark.selection.narrowing import InstrumentFacts, narrow
from benchmark.served import served
from coordinator.errors import CannotAssess
from coordinator.methods import method_of, networks_for
from coordinator.workplace import Workplace
from model_library.cards.card import NetworkCard
from model_library.wire.tasks import Task


@dataclass(frozen=True)
class Contenders:
    """The networks that are ranked, their cards in the same order, and why the others are not.

    Attributes
    ----------
    left_out
        Network -> words.
    """

    ranked: tuple[Contender, ...]
    cards: tuple[NetworkCard, ...]
    left_out: dict[str, str]


def contenders_for(place: Workplace, task: Task, facts: InstrumentFacts, remedy: str) -> Contenders:
    """Narrow the library, returned networks among it, and load what is left.

    Parameters
    ----------
    remedy
        What to do where none is left.

    Raises
    ------
    CannotAssess
        No network fits the instrument, or all that do were tuned on these very images.
    """
    narrowed = narrow(networks_for(place, task), facts)
    if not narrowed.eligible:
        found = "; ".join(f"{key} {why}" for key, why in narrowed.left_out.items()) or "none"
        raise CannotAssess(
            f"expected a network for {task.model_dump_json()} that fits the instrument, found {found};"
            f" {remedy}"
        )
    ranked = tuple(
        Contender(served(method_of(place, card.ref, task), facts.pixel_size_nm), card.facts.flops_per_pixel)
        for card in narrowed.eligible
    )
    return Contenders(ranked, narrowed.eligible, narrowed.left_out)
